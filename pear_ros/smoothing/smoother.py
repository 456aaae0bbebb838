# SPDX-License-Identifier: Apache-2.0
"""Motion freed of jitter, person by person and causally: nothing waits for a later image.

Joints turn on SO(3) and the pelvis moves in space, each by a filter that tells rest from motion
(pear_ros.smoothing.motion_filter). The pelvis is corrected across the camera's rays, where it is
seen well,
apart from depth, where it is not, so that the body stays on the picture while its distance calms
down. Shape is a constant that is learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core.camera import Camera
from pear_ros.core.people import Person, TrackingState
from pear_ros.core.state import Stateful
from pear_ros.smoothing.person_filter import Known, Measurement, begin, follow, joined, rows

LONGEST_GAP = 0.5
"""Seconds after which somebody who was not seen has nothing to do with what they did before."""

_SEEN = (TrackingState.NEW, TrackingState.TRACKED)
"""Of others, nothing was measured in this image."""


class Smoother(Stateful):
    """Filters the people of one video; not thread-safe."""

    state_attributes = ("_known",)

    def __init__(self, bodies: ScaledBodies) -> None:
        self._bodies = bodies
        self._known: dict[str, tuple[Known, int]] = {}
        """By the ids of people: a table that they are in, and their place there."""

    def __call__(self, persons: Sequence[Person], camera: Camera, stamp: float) -> list[Person]:
        """The same people, in the same order, as they most likely are at `stamp` (seconds).

        As they come: whoever is seen for the first time or again after LONGEST_GAP, whoever is not
        seen but PREDICTED or LOST, and whoever has parameters that are not finite.
        """
        self._forget(persons, stamp)
        smooth = list(persons)
        seen = [n for n, person in enumerate(persons) if person.state in _SEEN]
        if not seen:
            return smooth
        measured = Measurement.of([persons[n] for n in seen])
        usable = measured.usable
        ids = [persons[n].id for n in seen]
        old = [row for row, name in enumerate(ids) if usable[row] and name in self._known]
        new = [row for row, name in enumerate(ids) if usable[row] and name not in self._known]
        if old:
            known = self._recall([ids[row] for row in old])
            again = measured if len(old) == len(seen) else rows(measured, old)
            known = follow(known, again, stamp)
            self._remember([ids[row] for row in old], known)
            indices = [seen[row] for row in old]
            people = again.replaced(known).on([persons[n] for n in indices])
            for n, person in zip(indices, self._place(people, known, camera), strict=True):
                smooth[n] = person
        if new:
            self._remember([ids[row] for row in new], begin(rows(measured, new), stamp))
        return smooth

    def reset(self) -> None:
        """Forget everybody."""
        self._known = {}

    def _forget(self, persons: Sequence[Person], stamp: float) -> None:
        """Forget who is lost, was not seen for too long, or was last seen in the future."""
        lost = {person.id for person in persons if person.state is TrackingState.LOST}
        self._known = {
            name: (known, row)
            for name, (known, row) in self._known.items()
            if name not in lost and 0.0 <= stamp - known.stamp[row] <= LONGEST_GAP
        }

    def _remember(self, ids: Sequence[str], known: Known) -> None:
        self._known.update({name: (known, row) for row, name in enumerate(ids)})

    def _recall(self, ids: Sequence[str]) -> Known:
        """What is known of these people, in their order."""
        places = [self._known[name] for name in ids]
        table = places[0][0]
        in_order = all(known is table and row == n for n, (known, row) in enumerate(places))
        if in_order and len(places) == len(table.stamp):
            return table
        return joined([rows(known, [row]) for known, row in places])

    def _place(self, persons: Sequence[Person], known: Known, camera: Camera) -> list[Person]:
        """People with their pelvis where it is known to be."""
        joints = self._bodies.joints(persons)
        shift = (known.pelvis - joints[:, 0]).astype(np.float32)
        joints = joints + shift[:, None]
        keypoints = camera.project(joints)
        return [
            replace(
                person,
                smplx=replace(person.smplx, transl=person.smplx.transl + shift[n]),
                joints=joints[n],
                keypoints=keypoints[n],
            )
            for n, person in enumerate(persons)
        ]
