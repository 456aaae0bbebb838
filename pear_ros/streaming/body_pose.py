# SPDX-License-Identifier: Apache-2.0
"""The pose of one body in a world with z up: what streams interpolate, limit and send.

Frame: a fixed frame with z up (REP-103). Rotations are unit quaternions x y z w. The axes of the
body at rest (T-pose) are SMPL-X's: x to the person's left, y up, z out of the chest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pear_ros.body.kinematics import JointTree
from pear_ros.core import quaternions
from pear_ros.core.people import (
    FARTHEST,
    MEASURED_STATES,
    SMPLX_PARENTS,
    Array,
    TrackingState,
)
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.hri.body_parts import FINGERS, WRISTS, hands_seen
from pear_ros.smoothing.soles import sole_points

Float64 = npt.NDArray[np.float64]

LEVEL_CAMERA = RigidTransform(
    np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]), np.zeros(3)
)
"""From the optical frame of a level camera to x forward, y left, z up, at the camera."""

_IDENTITY = np.array([0.0, 0.0, 0.0, 1.0])


class ObservedPerson(NamedTuple):
    """A person in one image, in the camera's optical frame."""

    id: str
    state: TrackingState
    pose: Array
    """(55, 3) axis-angle, as SmplxParams.pose."""
    joints: Array
    """(55, 3) metres."""
    confidence: Array
    """(55,) 0 to 1; NaN: not estimated."""

    @property
    def is_measured(self) -> bool:
        """Whether body and place were read in this image, are finite and not absurdly far."""
        known = np.isfinite(self.pose).all() and (np.abs(self.joints) < FARTHEST).all()
        return bool(self.state in MEASURED_STATES and known)


@dataclass(frozen=True, eq=False)
class BodyPose:
    """The pose of one body at one time."""

    root: Float64
    """(3,) place of the pelvis, metres."""
    rotations: Float64
    """(55, 4) the root's from the body's axes at rest to the world, others to their parents."""
    bones: Float64
    """(55, 3) place of each joint in the axes of its parent, metres; the root's is zero."""
    hands_seen: tuple[bool, bool]
    """Whether the left and the right hand were seen; a hand that was not rests."""


@cache
def joint_tree() -> JointTree:
    """Return SMPL-X's joint tree, in double precision."""
    return JointTree(np.array(SMPLX_PARENTS), np.asarray)


def orientations_and_places(motion: BodyPose) -> tuple[Float64, Float64]:
    """Return orientations (55, 3, 3) and places (55, 3), metres, of all joints in the world."""
    tree = joint_tree()
    orientations = tree.orientations(quaternions.to_matrices(motion.rotations))
    bones = motion.bones.copy()
    bones[0] = motion.root
    return orientations, tree.positions(orientations, bones)


def motion_of(person: ObservedPerson, to_world: RigidTransform | None) -> BodyPose:
    """Return the motion of a person who `is_measured`.

    `to_world`: from the optical frame to the world; None: unknown, then the camera is taken as
    level, x points along its optical axis and the lowest foot is on the floor, z = 0.
    """
    place = to_world or LEVEL_CAMERA
    rotations = quaternions.from_vectors(person.pose.astype(np.float64))
    rotations[0] = quaternions.product(quaternions.from_matrix(place.rotation), rotations[0])
    joints = place.apply(person.joints.astype(np.float64))
    orientations = joint_tree().orientations(quaternions.to_matrices(rotations))
    seen = _rest_unseen_hands(rotations, person)
    motion = BodyPose(joints[0], rotations, _bones(orientations, joints), seen)
    return motion if to_world is not None else on_floor(motion, 0.0)


def on_floor(motion: BodyPose, floor: float) -> BodyPose:
    """Return a motion moved along z until the lowest foot is on the floor, z = `floor`, metres."""
    root = motion.root.copy()
    root[2] += floor - lowest_sole(motion)
    return replace(motion, root=root)


def lowest_sole(motion: BodyPose) -> float:
    """Return the height of the lowest sole, metres."""
    _, places = orientations_and_places(motion)
    pose = quaternions.to_vectors(motion.rotations).astype(np.float32)
    return float(sole_points(pose[None], places[None].astype(np.float32))[..., 2].min())


def _bones(orientations: Float64, joints: Float64) -> Float64:
    parents = np.array(SMPLX_PARENTS)[1:]
    bones = np.zeros_like(joints)
    apart = joints[1:] - joints[parents]
    bones[1:] = np.einsum("jba,jb->ja", orientations[parents], apart)
    return bones


def _rest_unseen_hands(rotations: Float64, person: ObservedPerson) -> tuple[bool, bool]:
    """Straighten wrist and fingers of hands that were not seen; return which were."""
    left, right = hands_seen(person.confidence).tolist()
    for seen, wrist, fingers in zip((left, right), WRISTS, FINGERS, strict=True):
        if not seen:
            rotations[wrist] = rotations[fingers] = _IDENTITY
    return left, right
