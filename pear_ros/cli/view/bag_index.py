# SPDX-License-Identifier: Apache-2.0
"""The times of a bag's results and a summary of its people, read in a thread of its own.

The index keeps some hundred bytes a person and image; messages are read again when they are shown.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pear_ros.bags.bag import Bag
from pear_ros.bags.topic import Message
from pear_ros.cli.view.track_summary import track_summary
from pear_ros.core.log import get_logger
from pear_ros.core.people import Person, TrackingState
from pear_ros.core.timestamps import nanoseconds_of
from pear_ros.ros.conversion.people import OtherVersionError, people_of
from pear_ros.viewing.moment import TrackSummary

logger = get_logger(__name__)

_BATCH = 128
"""Messages after which new ones are shown."""
_SHARE = 0.5
"""Time left to viewers, over that of reading."""
_MAX_PEOPLE = 2000
"""People with a summary; more are shown, but have neither bars nor plots."""


class BagIndex:
    """Images with results in a bag, in order of time; grows until `complete`."""

    def __init__(self, path: Path, topic: str) -> None:
        """Begin to read people on `topic` of the bag at `path`. Raises BagError."""
        self._bag = Bag(path)  # Of its own: bags are not for several threads.
        self._path, self._topic = path, topic
        self._recorded = array("q")
        self._seconds = array("d")
        self._copied: npt.NDArray[np.float64] = np.empty(0)
        self._first = self._offset = 0.0
        self._tracks: dict[str, TrackSummary] = {}
        self._lock = threading.Lock()
        self._corrupt = self._jumps = 0
        self._closed = False
        self.start = 0.0
        """Stamp of the first image, seconds since 1970."""
        self.complete = False
        """Whether all of the bag was read."""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._read, name="index of a bag", daemon=True)
        self._thread.start()
        self._ready.wait(10.0)

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """(F,) times of the images since the first one, as far as they were read."""
        with self._lock:
            if len(self._copied) != len(self._seconds):
                self._copied = np.array(self._seconds, np.float64)
            return self._copied

    def recorded(self, index: int) -> int:
        """Return the recording time of an image's results, nanoseconds."""
        with self._lock:
            return self._recorded[index]

    def summary(self) -> Mapping[str, TrackSummary]:
        """Return the people read so far, by id."""
        with self._lock:
            return dict(self._tracks)

    def notes(self) -> list[str]:
        """Return what is damaged, one sentence each."""
        notes = list(self._bag.damage)
        if self._corrupt:
            notes.append(f"{self._path}: {self._corrupt} messages on {self._topic} are corrupt.")
        if self._jumps:
            notes.append(
                f"{self._path}: stamps on {self._topic} jump back {self._jumps} times; times go on."
            )
        return notes

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._thread.join(timeout=5.0)

    def _read(self) -> None:
        try:
            for batch in self._batches():
                began = time.monotonic()
                self._add(batch)
                self._ready.set()
                time.sleep(_SHARE * (time.monotonic() - began))
                if self._closed:
                    return
        except Exception as error:
            logger.exception("%s cannot be read to its end", self._path)
            self._bag.damage.append(f"{self._path} cannot be read to its end: {error}")
        finally:
            self.complete = True
            self._ready.set()

    def _batches(self) -> Iterator[list[Message]]:
        batch: list[Message] = []
        size = 8  # The first images are shown at once.
        for message in self._bag.messages([self._topic]):
            batch.append(message)
            if len(batch) >= size:
                yield batch
                batch, size = [], _BATCH
        yield batch

    def _add(self, batch: list[Message]) -> None:
        """Add messages to the index."""
        persons: dict[str, list[tuple[int, Person]]] = {}
        recorded, seconds = array("q"), array("d")
        for message in batch:
            try:
                decoded = self._bag.deserialize(message)
                people = people_of(decoded)
                stamp = 1e-9 * nanoseconds_of(decoded.header)
            except OtherVersionError as error:
                raise ValueError(f"its pear_msgs had no {error}") from error
            except Exception:  # What a corrupt message raises depends on the damage.
                self._corrupt += 1
                continue
            number = len(self._seconds) + len(seconds)
            seconds.append(self._time(stamp, 1e-9 * message.time, seconds))
            recorded.append(message.time)
            for person in people.persons:
                if person.state is not TrackingState.LOST:
                    persons.setdefault(person.id, []).append((number, person))
        summaries = {name: _summary(rows) for name, rows in persons.items()}
        with self._lock:
            self._recorded.extend(recorded)
            self._seconds.extend(seconds)
            for name, summary in summaries.items():
                if name in self._tracks:
                    self._tracks[name] = _joined(self._tracks[name], summary)
                elif len(self._tracks) < _MAX_PEOPLE:
                    self._tracks[name] = summary

    def _time(self, stamp: float, recorded: float, batch: array[float]) -> float:
        """Return the time of an image since the first; after a jump back, time goes on."""
        before = batch[-1] if batch else (self._seconds[-1] if self._seconds else None)
        if before is None:
            self._first = self.start = stamp
            return 0.0
        now = stamp - self._first + self._offset
        if now <= before:
            if before - now > 1.0:
                self._jumps += 1
            self._offset += before - now + 1e-3
            now = before + 1e-3
        return now


def _summary(rows: list[tuple[int, Person]]) -> TrackSummary:
    return track_summary(
        np.array([number for number, _ in rows], np.int64),
        np.array([person.smplx.pose for _, person in rows]),
        np.array([person.joints for _, person in rows]),
    )


def _joined(one: TrackSummary, other: TrackSummary) -> TrackSummary:
    return TrackSummary(
        np.concatenate([one.frames, other.frames]),
        np.concatenate([one.pelvis, other.pelvis]),
        np.concatenate([one.angles, other.angles]),
    )
