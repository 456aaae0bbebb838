# SPDX-License-Identifier: Apache-2.0
"""A bag with results as a recording for the viewer: what is shown is read when it is shown."""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pear_ros.bags.bag import Bag
from pear_ros.cli.view.bag_index import BagIndex
from pear_ros.cli.view.bag_pictures import BagPictures
from pear_ros.cli.view.bag_transforms import BagTransforms
from pear_ros.core.people import People
from pear_ros.core.timestamps import nanoseconds_of
from pear_ros.export.bag import humans_topic, only_bag
from pear_ros.ros.conversion.people import people_of
from pear_ros.ros.viewing.placement import Placement
from pear_ros.viewing.moment import Moment, TrackSummary

_AHEAD_NANOSECONDS = 500_000_000
_AHEAD_MESSAGES = 16
"""Messages read at once, since reading one opens a part of the file."""
_KEPT_MESSAGES = 64
_LEARNT_IMAGES = 300
"""First images from which it is seen how the camera stands, if no transform says it."""


class BagRecording:
    """People in a bag, with images and transforms of this or of another bag."""

    def __init__(
        self,
        path: Path,
        *,
        images: Path | None = None,
        topic: str | None = None,
        image_topic: str | None = None,
        frame: str = "",
    ) -> None:
        """Open the bag. `images`: another bag with the images; `frame`: see Placement.

        Raises pear_ros.bags.topic.BagError or pear_ros.export.tracks.ResultsError.
        """
        self._path = only_bag(path)
        self._bag = Bag(self._path)
        self._topic = humans_topic(self._bag, topic)
        self._lock = threading.Lock()
        self._pictures = BagPictures(
            self._bag if images is None else Bag(only_bag(images)), image_topic
        )
        self._transforms = BagTransforms(self._bag)
        self._placement = Placement(frame)
        self._note = ""
        self._messages: OrderedDict[int, Any] = OrderedDict()
        self.name = self._bag.name
        self._learn()
        self._index = BagIndex(self._path, self._topic)

    @property
    def start(self) -> float:
        """Stamp of the first image, seconds since 1970."""
        return self._index.start

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """(F,) times of the images since the first one, as far as the bag was read."""
        return self._index.seconds

    @property
    def notes(self) -> Sequence[str]:
        """Damage and what is assumed, one sentence each."""
        reading = [] if self._index.complete else [f"{self._path} is being read ..."]
        assumed = [self._note] if self._note else []
        empty = self._index.complete and not len(self.seconds)
        nothing = [f"{self._path} has no results on {self._topic}."] if empty else []
        return [*reading, *nothing, *assumed, *self._index.notes()]

    def moment(self, index: int) -> Moment:
        """Return the people of an image, with its picture and the robot's frames."""
        recorded = self._index.recorded(index)
        with self._lock:
            message = self._message(recorded)
            people, stamp = people_of(message), nanoseconds_of(message.header)
            placed = self._placement(
                self._transforms.around(recorded), message.header.frame_id, stamp, people
            )
            self._note = placed.note
            picture = self._pictures.at_stamp(stamp, recorded)
        seconds = float(self._index.seconds[index])
        return Moment(seconds, people, placed.camera, picture, placed.frames)

    def summary(self) -> Mapping[str, TrackSummary]:
        """Return the people read so far, by id."""
        return self._index.summary()

    def close(self) -> None:
        """End reading."""
        self._index.close()

    def _message(self, recorded: int) -> Any:
        """Return the results recorded at a time; reads some that follow, too."""
        if recorded not in self._messages:
            found = self._bag.messages([self._topic], recorded, recorded + _AHEAD_NANOSECONDS)
            for message in itertools.islice(found, _AHEAD_MESSAGES):
                try:
                    self._messages[message.time] = self._bag.deserialize(message)
                except Exception:  # Corrupt; the index has left it out.
                    continue
            while len(self._messages) > _KEPT_MESSAGES:
                self._messages.popitem(last=False)
        return self._messages[recorded]

    def _learn(self) -> None:
        """Look at the first people, for how the camera stands."""
        found = self._bag.messages([self._topic])
        for message in itertools.islice(found, _LEARNT_IMAGES):
            try:
                people: People = people_of(self._bag.deserialize(message))
            except Exception:  # Corrupt, or of another version: the index says it.
                continue
            self._placement.learn(people)
            if self._placement.learnt:
                return
