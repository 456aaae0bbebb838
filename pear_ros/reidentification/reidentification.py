# SPDX-License-Identifier: Apache-2.0
"""Gives people who return the ids that they had before.

A person who was lost is known by their appearance for a set time. A new track is compared with
those who were absent when it began, in its first image and, while parts are out of sight, for
DECISION_TIME; then it stays new. Where its first image decides, it is published with the old id at
once. Later, its own id ends: the person is in that image twice, LOST with the id of the track, and
NEW with the old one.

Appearances are in memory alone. They are no part of a pipeline's state, are dropped after the set
time, and with the tracks when the pipeline is reset.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pear_ros.core.camera import Camera
from pear_ros.core.device_image import DeviceImage, on_cpu
from pear_ros.core.people import MEASURED_STATES, Image, Person, TrackingState
from pear_ros.reidentification.appearance import Appearance, AppearanceSampler
from pear_ros.reidentification.likelihood import log_likelihood_ratio
from pear_ros.reidentification.matching import sure_matches

DECISION_TIME = 1.0
"""Seconds from the start of a track within which its id may become an old one."""
_NEW_INTERVAL = 0.2
"""Seconds between two samples of appearance while there are new tracks."""
_INTERVAL = 0.5
"""Seconds between two samples of appearance else."""
_MIN_IMAGES = 3
"""Images of which a person's appearance has to be to recognise them later."""
_MAX_ABSENT = 50
"""People who may be absent and known; those who left first are dropped."""
_UNMEASURED = (TrackingState.PREDICTED, TrackingState.DETECTED)


@dataclass
class _Known:
    """What is known of a person, present or absent."""

    began: float
    """Stamp of the first image of the last track, seconds."""
    last_seen: float
    """Stamp of the last image in which the person was measured, seconds."""
    appearance: Appearance | None = None
    present: bool = True
    undecided: bool = True
    """Whether the person may yet prove to be one who was there before."""

    @property
    def is_familiar(self) -> bool:
        """Whether the person was seen in enough images to be recognised."""
        return self.appearance is not None and int(self.appearance.images.max()) >= _MIN_IMAGES


class Reidentification:
    """Maps ids of tracks to ids of people, from image to image; not thread-safe."""

    def __init__(self, sampler: AppearanceSampler, seconds: float) -> None:
        """Start without known people; each is known for `seconds` after they were seen last."""
        self._sampler = sampler
        self._seconds = seconds
        self._known: dict[str, _Known] = {}
        """By the id of the person."""
        self._old_ids: dict[str, str] = {}
        """Id of the person by the id of the track, where they differ."""
        self._last_sample = -math.inf

    def __call__(
        self,
        persons: Sequence[Person],
        image: Image | DeviceImage,
        camera: Camera,
        stamp: float,
    ) -> list[Person]:
        """Return the same people with the ids of those who returned.

        `persons`: of all tracks in `image` (height, width, 3) uint8 BGR, taken by `camera` at
        `stamp`, seconds, with the ids of their tracks. Where a track that was published already
        takes an old id, its own is returned as well, in state LOST.
        """
        tracks = [person.id for person in persons]
        result = [replace(person, id=self._old_ids.get(person.id, person.id)) for person in persons]
        self._drop(stamp)
        for person in result:
            known = self._known.setdefault(person.id, _Known(stamp, stamp))
            known.undecided &= stamp - known.began <= DECISION_TIME
            if person.state in MEASURED_STATES:
                known.last_seen = stamp
        sampled = self._sample(result, image, camera, stamp)
        returned = self._returned(result) if sampled else {}
        ended = []
        for n, person in enumerate(result):
            if person.id in returned:
                if person.state is not TrackingState.NEW:
                    ended.append(replace(person, state=TrackingState.LOST))
                old_id = self._join(person.id, returned[person.id])
                self._old_ids[tracks[n]] = old_id
                result[n] = replace(person, id=old_id, state=TrackingState.NEW)
        for track, person in zip(tracks, result, strict=True):
            if person.state is TrackingState.LOST:
                self._known[person.id].present = False
                self._old_ids.pop(track, None)
        return [*result, *ended]

    def reset(self) -> None:
        """Drop all that is known of people."""
        self._known, self._old_ids, self._last_sample = {}, {}, -math.inf

    def _drop(self, stamp: float) -> None:
        """Drop those who have been absent for too long, or are too many or too little known."""
        kept = [
            name
            for name, known in sorted(self._known.items(), key=lambda item: -item[1].last_seen)
            if not known.present and stamp - known.last_seen <= self._seconds and known.is_familiar
        ]
        absent = set(kept[:_MAX_ABSENT])
        self._known = {
            name: known for name, known in self._known.items() if known.present or name in absent
        }

    def _sample(
        self,
        persons: Sequence[Person],
        image: Image | DeviceImage,
        camera: Camera,
        stamp: float,
    ) -> bool:
        """Sample the appearance of the measured people, if it is time; return whether it was."""
        seen = [one for one in persons if one.state in MEASURED_STATES]
        known = [self._known[one.id] for one in seen]
        interval = _NEW_INTERVAL if any(one.undecided for one in known) else _INTERVAL
        first = any(one.appearance is None for one in known)
        if not seen or not (first or stamp - self._last_sample >= interval):
            return False
        self._last_sample = stamp
        hiding = [one for one in persons if one.state in _UNMEASURED]
        sampled = self._sampler(on_cpu(image), camera, seen, hiding)
        for one, appearance in zip(known, sampled, strict=True):
            one.appearance = one.appearance.averaged(appearance) if one.appearance else appearance
        return True

    def _returned(self, persons: Sequence[Person]) -> dict[str, str]:
        """Return the old id of each of `persons` who has surely returned: {id: old id}."""
        new = [
            person.id
            for person in persons
            if person.state in MEASURED_STATES
            and self._known[person.id].undecided
            and self._known[person.id].appearance
        ]
        others = [name for name, known in self._known.items() if known.appearance]
        possible = [[self._may_be(name, other) for other in others] for name in new]
        if not np.any(possible):
            return {}
        ratios = np.array([[self._ratio(name, other) for other in others] for name in new])
        matches = sure_matches(ratios, np.array(possible))
        return {new[track]: others[person] for track, person in matches.items()}

    def _may_be(self, name: str, other: str) -> bool:
        """Whether the person `other` is absent and was not seen since the track `name` began."""
        known = self._known[other]
        return not known.present and known.last_seen < self._known[name].began

    def _ratio(self, name: str, other: str) -> float:
        one, two = self._known[name].appearance, self._known[other].appearance
        assert one is not None and two is not None
        return -math.inf if name == other else log_likelihood_ratio(one, two)

    def _join(self, name: str, old_id: str) -> str:
        """Take `name` for the person who is known as `old_id`; return this id."""
        new, old = self._known.pop(name), self._known[old_id]
        assert new.appearance is not None and old.appearance is not None
        self._known[old_id] = replace(
            new, appearance=old.appearance.averaged(new.appearance), undecided=False
        )
        return old_id
