# SPDX-License-Identifier: Apache-2.0
"""Who is who from image to image: ids that stay with a person while they are in sight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pear_ros.boxes import same_person
from pear_ros.camera import Camera
from pear_ros.estimator import Detection, Estimate, Region
from pear_ros.memory import Remembering
from pear_ros.people import Array, Person, TrackingState

PATIENCE = 0.5
"""Seconds for which somebody who is not seen is still expected, before they are lost.

Whoever was in sight for less than that is expected for no longer than they were in sight.
"""

_STEADY_LOOKS = 2
"""Images for which somebody who is not seen is looked for in the same place; then the detector has
to find them."""


@dataclass(frozen=True)
class _Track:
    region: Region
    person: Person | None
    """As last seen; None before the first time."""
    since: float
    """Stamp of the first image in which the person was looked for, seconds."""
    seen: float
    """Stamp of the last image in which the person was seen."""
    misses: int = 0
    """Images since then; 0 again when a detection may be this person."""

    @property
    def missing(self) -> bool:
        """Whether the person was not seen in the last image."""
        return self.person is not None and self.person.state is TrackingState.PREDICTED

    def may_be_at(self, box: Array) -> bool:
        """Whether somebody detected in a box can be this person, who moved while missing."""
        own = self.region.box
        length, other = float((own[2:] - own[:2]).max()), float((box[2:] - box[:2]).max())
        apart = float(np.linalg.norm((box[:2] + box[2:] - own[:2] - own[2:]) / 2))
        return apart < length and 0.5 < other / length < 2.0


class Tracker(Remembering):
    """Gives ids to people by the overlap of their boxes."""

    def __init__(self) -> None:
        self._tracks: list[_Track] = []
        self._last_id = 0

    @property
    def count(self) -> int:
        """How many people are followed at present."""
        return len(self._tracks)

    def missing(self) -> list[Array]:
        """Boxes in which those were last seen who were not seen in the last image."""
        return [track.region.box for track in self._tracks if track.missing]

    def regions(
        self, detections: Sequence[Detection], stamp: float, max_humans: int = 8
    ) -> list[Region]:
        """Where to look: for those followed and, among `detections`, for new ones.

        Nobody beyond `max_humans` is followed.
        """
        for box in (detection.box for detection in detections):
            if any(same_person(t.region.box, box) for t in self._tracks if not t.missing):
                continue
            lost_sight_of = [
                n for n, t in enumerate(self._tracks) if t.missing and t.may_be_at(box)
            ]
            if lost_sight_of:
                track = self._tracks[lost_sight_of[0]]
                found_again = replace(track, region=replace(track.region, box=box), misses=0)
                self._tracks[lost_sight_of[0]] = found_again
            elif len(self._tracks) < max_humans:
                self._last_id += 1
                self._tracks.append(_Track(Region(f"h{self._last_id}", box), None, stamp, stamp))
        return [track.region for track in self._tracks if track.misses < _STEADY_LOOKS]

    def update(self, found: Mapping[str, Estimate], camera: Camera, stamp: float) -> list[Person]:
        """Everybody followed, given who was found, by the ids of the regions last asked for."""
        followed: list[_Track] = []
        persons: list[Person] = []
        # Those followed for longest come first: of two who became one, the older id stays.
        for track in self._tracks:
            estimate = found.get(track.region.id)
            if estimate is not None and not _is_other(estimate, followed, stamp):
                state = TrackingState.TRACKED if track.person else TrackingState.NEW
                person = _named(track.region.id, state, estimate)
                region = replace(track.region, box=estimate.box)
                followed.append(_Track(region, person, track.since, stamp))
                persons.append(person)
            elif track.person is not None:
                # A second box on somebody else is lost at once; one not seen gets some patience.
                doubled = estimate is not None
                patience = min(PATIENCE, track.seen - track.since)
                waiting = not doubled and stamp - track.seen <= patience
                state = TrackingState.PREDICTED if waiting else TrackingState.LOST
                person = _carried_over(track.person, state)
                if waiting:
                    followed.append(replace(track, person=person, misses=track.misses + 1))
                persons.append(person)
        self._tracks = followed
        return persons

    def reset(self) -> None:
        """Forget everybody; ids go on counting, as no id is used twice."""
        self._tracks = []


def _is_other(estimate: Estimate, followed: Sequence[_Track], stamp: float) -> bool:
    """Whether an estimate shows somebody who is already followed in this image."""
    return any(t.seen == stamp and same_person(t.region.box, estimate.box) for t in followed)


def _named(name: str, state: TrackingState, estimate: Estimate) -> Person:
    return Person(
        id=name,
        state=state,
        score=estimate.score,
        box=estimate.box,
        smplx=estimate.smplx,
        joints=estimate.joints,
        joint_confidence=estimate.joint_confidence,
        keypoints=estimate.keypoints,
        flame=estimate.flame,
    )


def _carried_over(person: Person, state: TrackingState) -> Person:
    """The person as last seen, with half the confidence."""
    return replace(
        person,
        state=state,
        score=person.score / 2,
        joint_confidence=person.joint_confidence / np.float32(2),
    )
