# SPDX-License-Identifier: Apache-2.0
"""Feet of the people of one video: which of them touch the floor, and that those do not slide.

Contact is told by speed and height over time (`foot_contact`). A foot in contact is pulled to where
it came down (`foot_anchors`) by a turn of its leg about the hip (`leg_turn`). People's distance and
the rest of the body stay, and so do their feet in the image, but for a small share of the box.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pear_ros.core.camera import Camera
from pear_ros.core.ground import GroundPlane
from pear_ros.core.people import MEASURED_STATES, Array, Person, TrackingState
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.core.state import Stateful
from pear_ros.smoothing import foot_anchors, foot_contact
from pear_ros.smoothing.batches import concatenate, take
from pear_ros.smoothing.foot_anchors import FootAnchors
from pear_ros.smoothing.foot_contact import ContactStates, Doubles
from pear_ros.smoothing.leg_turn import turn_legs
from pear_ros.smoothing.smoother import MAX_GAP
from pear_ros.smoothing.soles import ANKLES, HIPS, SOLE_JOINTS, sole_points

MAX_IMAGE_SHARE = 0.01
"""How far an ankle is moved across the line of sight at most, over the longer side of the person's
box there."""
_MIN_OFFSET = 1e-4
"""Offsets below it, metres, are none."""


@dataclass(frozen=True)
class FeetStates:
    """Filter states of the feet of N people, each after their last image."""

    contact: ContactStates
    anchors: FootAnchors


class Feet(Stateful):
    """Tells which heels and toes touch the floor and holds them in place; not thread-safe."""

    state_attributes = ("_states",)

    def __init__(self) -> None:
        """Start without people."""
        self._states: dict[str, FeetStates] = {}
        """By id: the state of one person."""

    def __call__(
        self,
        persons: Sequence[Person],
        camera: Camera,
        stamp: float,
        ground: GroundPlane | None = None,
    ) -> list[Person]:
        """Return the same people, in the same order, with `foot_contact` and feet held in place.

        `persons`: smoothed, in an image of `camera` at `stamp`, seconds; `ground`: the floor in the
        optical frame, None: unknown. NaN is the contact of points that are not observed. People in
        their first image, or not measured in this one, are returned unchanged.
        """
        self._drop_outdated(persons, stamp)
        result = list(persons)
        observed = [n for n, person in enumerate(persons) if _is_observed(person)]
        if not observed:
            return result
        people = [persons[n] for n in observed]
        pose = np.array([person.smplx.pose for person in people])
        joints = np.array([person.joints for person in people])
        soles = sole_points(pose, joints).astype(np.float64)
        known = [row for row, person in enumerate(people) if person.id in self._states]
        new = [row for row, person in enumerate(people) if person.id not in self._states]
        if known:
            of_known = [people[row] for row in known]
            states, contact = self._updated(of_known, soles[known], camera, stamp, ground)
            offsets = states.anchors.offset
            changed = _held(of_known, pose[known], joints[known], offsets, camera)
            for number, row in enumerate(known):
                self._states[people[row].id] = take(states, [number])
                result[observed[row]] = replace(changed[number], foot_contact=contact[number])
        for row in new:
            at = soles[[row]]
            self._states[people[row].id] = FeetStates(
                foot_contact.initialise(at, stamp), foot_anchors.initialise(at)
            )
        return result

    def move(self, transform: RigidTransform) -> None:
        """Move all states to the frame of the next image, after the camera has moved.

        `transform`: from the optical frame of the last image to that of the next one.
        """
        self._states = {
            person_id: FeetStates(
                foot_contact.moved(states.contact, transform),
                foot_anchors.moved(states.anchors, transform),
            )
            for person_id, states in self._states.items()
        }

    def reset(self) -> None:
        """Drop the states of all people."""
        self._states = {}

    def _updated(
        self,
        people: Sequence[Person],
        soles: Doubles,
        camera: Camera,
        stamp: float,
        ground: GroundPlane | None,
    ) -> tuple[FeetStates, Array]:
        """The states of known people after this image, and probabilities of contact (N, 4)."""
        before = concatenate([self._states[person.id] for person in people])
        confidence = np.array([person.joint_confidence[SOLE_JOINTS] for person in people])
        depth_error = np.array([person.depth_error for person in people])
        height, height_std = _heights(soles, depth_error, ground)
        contact = foot_contact.update(before.contact, soles, stamp, confidence, height, height_std)
        probability = foot_contact.probability(contact.log_odds)
        seen = ~(confidence < foot_contact.MIN_SEEN)
        box = np.array([(one.box[2:] - one.box[:2]).max() for one in people], np.float64)
        depth = np.array([one.joints[0, 2] for one in people], np.float64)
        anchors = foot_anchors.update(
            before.anchors,
            soles,
            np.where(seen, probability, 0.0),
            height,
            np.zeros(3) if ground is None else ground.normal,
            stamp - before.contact.stamp,
            np.array([one.joints[ANKLES] - one.joints[HIPS] for one in people], np.float64),
            MAX_IMAGE_SHARE * box * depth / max(camera.fx, camera.fy),
        )
        shown = np.where(seen, probability, np.nan).astype(np.float32)
        return FeetStates(contact, anchors), shown

    def _drop_outdated(self, persons: Sequence[Person], stamp: float) -> None:
        """Drop the states of lost people, and those older than MAX_GAP or not before `stamp`."""
        lost = {person.id for person in persons if person.state is TrackingState.LOST}
        self._states = {
            person_id: states
            for person_id, states in self._states.items()
            if person_id not in lost and 0.0 < stamp - states.contact.stamp[0] <= MAX_GAP
        }


def _is_observed(person: Person) -> bool:
    """Whether the person was measured, and stands where the feet can be computed."""
    finite = np.isfinite(person.joints).all() and np.isfinite(person.smplx.pose).all()
    return bool(person.state in MEASURED_STATES and finite and person.joints[0, 2] > 0.0)


def _held(
    people: Sequence[Person], pose: Array, joints: Array, offsets: Doubles, camera: Camera
) -> list[Person]:
    """The people with their ankles moved by `offsets` (N, 2, 3)."""
    rows = np.flatnonzero((np.abs(offsets) > _MIN_OFFSET).any(axis=(1, 2)))
    held = list(people)
    if len(rows):
        new_pose, new_joints = turn_legs(pose[rows], joints[rows], offsets[rows])
        keypoints = camera.project(new_joints)
        for number, row in enumerate(rows):
            held[row] = replace(
                people[row],
                smplx=replace(people[row].smplx, pose=new_pose[number]),
                joints=new_joints[number],
                keypoints=keypoints[number],
            )
    return held


def _heights(
    soles: Doubles, depth_error: Doubles, ground: GroundPlane | None
) -> tuple[Doubles, Doubles]:
    """Heights (N, 4) of soles (N, 4, 3) above the floor and their standard deviations; or NaN."""
    if ground is None:
        unknown = np.full(soles.shape[:2], np.nan)
        return unknown, unknown
    below = ground.below(soles)  # (N, 4)
    distance = np.linalg.norm(soles, axis=-1)
    floor_distance = np.sqrt(np.maximum(distance**2 - below**2, 0.0))
    # An error of the distance moves a point along its line of sight.
    along = depth_error[:, None] * below / distance
    variance = ground.height_std**2 + (ground.tilt_std * floor_distance) ** 2 + along**2
    # NaN where the distance, and so its error, is unknown.
    return np.where(np.isnan(variance), np.nan, ground.height - below), np.sqrt(variance)
