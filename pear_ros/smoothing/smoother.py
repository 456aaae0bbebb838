# SPDX-License-Identifier: Apache-2.0
"""Smoother of the people of one video: causal, without delay, person by person.

Joint rotations are filtered on SO(3) and the pelvis in space, so that slow motion is smooth and
quick motion does not lag (`pear_ros.smoothing.imm_filter`). The pelvis is filtered separately
across the line of sight, where it is measured well, and in depth, where it is not: the body stays
in its place in the image while its distance is smoothed. Shape coefficients converge to a mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core.camera import Camera
from pear_ros.core.people import MEASURED_STATES, Person, TrackingState
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.core.state import Stateful
from pear_ros.smoothing import person_states
from pear_ros.smoothing.batches import concatenate, take
from pear_ros.smoothing.measurements import Measurements
from pear_ros.smoothing.person_states import PersonStates

MAX_GAP = 0.5
"""Seconds without a measurement after which the filter of a person is initialised again."""

_MIN_DEPTH = 0.1
"""Depth of a pelvis, metres, below which the camera has turned away from the person."""


class Smoother(Stateful):
    """Filters the people of one video; not thread-safe."""

    state_attributes = ("_states",)

    def __init__(self, bodies: ScaledBodies) -> None:
        """Start without people; `bodies` computes the joints of filtered people."""
        self._bodies = bodies
        self._states: dict[str, tuple[PersonStates, int]] = {}
        """By id: a batch of states, and the index of the person in it."""

    def __call__(self, persons: Sequence[Person], camera: Camera, stamp: float) -> list[Person]:
        """Return the same people, in the same order, with filtered parameters at `stamp` (seconds).

        Returned unchanged are people who are measured for the first time or again after MAX_GAP,
        people in state PREDICTED or LOST, and people with parameters that are not finite.
        """
        self._drop_outdated(persons, stamp)
        filtered = list(persons)
        measured = [n for n, person in enumerate(persons) if person.state in MEASURED_STATES]
        if not measured:
            return filtered
        measurements = Measurements.from_persons([persons[n] for n in measured])
        valid = measurements.valid
        ids = [persons[n].id for n in measured]
        known = [row for row, one in enumerate(ids) if valid[row] and one in self._states]
        new = [row for row, one in enumerate(ids) if valid[row] and one not in self._states]
        if known:
            known_ids = [ids[row] for row in known]
            again = measurements if len(known) == len(ids) else take(measurements, known)
            states = person_states.update(self._states_of(known_ids), again, stamp)
            self._keep(known_ids, states)
            indices = [measured[row] for row in known]
            smooth = again.with_filtered(states.rotations, states.shape, states.face)
            people = smooth.apply_to([persons[n] for n in indices])
            for n, person in zip(indices, self._move(people, states, camera), strict=True):
                filtered[n] = person
        if new:
            initial = person_states.initialise(take(measurements, new), stamp)
            self._keep([ids[row] for row in new], initial)
        return filtered

    def move(self, transform: RigidTransform) -> None:
        """Move all states to the frame of the next image, after the camera has moved.

        `transform`: from the optical frame of the last image to that of the next one. So people
        are filtered as in a frame that is fixed, with the camera's noise: small across the line of
        sight, large along it.
        """
        batches = {id(states): states for states, _ in self._states.values()}
        after = {key: person_states.moved(states, transform) for key, states in batches.items()}
        self._states = {
            person_id: (after[id(states)], row)
            for person_id, (states, row) in self._states.items()
            if after[id(states)].pelvis[row, 2] > _MIN_DEPTH
        }

    def reset(self) -> None:
        """Drop the states of all people."""
        self._states = {}

    def _drop_outdated(self, persons: Sequence[Person], stamp: float) -> None:
        """Drop the states of lost people, and those older than MAX_GAP or newer than `stamp`."""
        lost = {person.id for person in persons if person.state is TrackingState.LOST}
        self._states = {
            person_id: (states, row)
            for person_id, (states, row) in self._states.items()
            if person_id not in lost and 0.0 <= stamp - states.stamp[row] <= MAX_GAP
        }

    def _keep(self, ids: Sequence[str], states: PersonStates) -> None:
        self._states.update({person_id: (states, row) for row, person_id in enumerate(ids)})

    def _states_of(self, ids: Sequence[str]) -> PersonStates:
        """The states of these people as one batch in their order."""
        places = [self._states[person_id] for person_id in ids]
        batch = places[0][0]
        in_order = all(states is batch and row == n for n, (states, row) in enumerate(places))
        if in_order and len(places) == len(batch.stamp):
            return batch
        return concatenate([take(states, [row]) for states, row in places])

    def _move(
        self, persons: Sequence[Person], states: PersonStates, camera: Camera
    ) -> list[Person]:
        """The people with their joints, translated to the filtered pelvis."""
        joints = self._bodies.joints(persons)  # (N, 55, 3)
        shift = (states.pelvis - joints[:, 0]).astype(np.float32)
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
