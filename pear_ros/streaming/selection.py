# SPDX-License-Identifier: Apache-2.0
"""Which person a stream follows: the nearest, one by id, or who raised a hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pear_ros.core.people import TrackingState
from pear_ros.hri.body_parts import LEVEL_CAMERA_UP, SIDES, Float64
from pear_ros.hri.gestures import hand_raised
from pear_ros.streaming.body_pose import ObservedPerson

NEAREST, RAISED_HAND = "nearest", "raised_hand"
_RAISED_SECONDS = 0.5
"""Time for which a hand is raised before the person is followed."""


class PersonSelector:
    """Follows one person until their track is lost."""

    def __init__(self, choice: str) -> None:
        """Follow by `choice`: 'nearest', 'raised_hand' or a track id.

        'nearest': the person nearest to the camera when nobody is followed. 'raised_hand': who held
        a hand above the shoulder for half a second; while the hands of the person who is followed
        are down, another may take over so.
        """
        self._choice = choice
        self._followed: str | None = None
        self._raised_since: dict[str, float] = {}

    def __call__(
        self, persons: Sequence[ObservedPerson], stamp: float, up: Float64 = LEVEL_CAMERA_UP
    ) -> ObservedPerson | None:
        """Return the person to follow among those in an image; None: there is none.

        `stamp`: of the image, seconds; `up` (3,): upwards in the optical frame.
        """
        present = {one.id: one for one in persons if one.state is not TrackingState.LOST}
        if self._followed not in present:
            self._followed = None
        if self._choice == RAISED_HAND:
            self._hand_over(present, stamp, up)
        elif self._choice == NEAREST:
            self._followed = self._followed or _nearest(list(present.values()))
        else:
            self._followed = self._choice
        return present.get(self._followed or "")

    def _hand_over(self, present: dict[str, ObservedPerson], stamp: float, up: Float64) -> None:
        raised = [one.id for one in present.values() if _raises_hand(one, up)]
        since = {one: min(self._raised_since.get(one, stamp), stamp) for one in raised}
        self._raised_since = since
        if self._followed in since:
            return
        long_enough = [one for one in raised if stamp - since[one] >= _RAISED_SECONDS]
        if long_enough:
            self._followed = min(long_enough, key=since.__getitem__)


def _nearest(persons: Sequence[ObservedPerson]) -> str | None:
    measured = [one for one in persons if one.is_measured]
    distances = [float(np.linalg.norm(one.joints[0])) for one in measured]
    return measured[int(np.argmin(distances))].id if measured else None


def _raises_hand(person: ObservedPerson, up: Float64) -> bool:
    return person.is_measured and any(
        hand_raised(person.joints, person.confidence, side, up) == 1.0 for side in SIDES
    )
