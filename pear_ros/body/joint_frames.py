# SPDX-License-Identifier: Apache-2.0
"""Coordinate frames of people's joints by the conventions of REP-103 and REP-155.

Every frame has x out of the chest, y to the person's left and z towards the head while the body
is at rest (T-pose), so that all of them are parallel then. SMPL-X's own axes at rest are x to the
left, y up, z out of the chest: a cyclic permutation. The root is midway between the hips, in the
camera's optical frame; every other frame is at its joint, in the frame of the joint's parent.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.body.kinematics import JointTree
from pear_ros.core.people import NUM_JOINTS, Array, Person, TrackingState

Float64 = npt.NDArray[np.float64]

BODY_AXES = [2, 0, 1]
"""Components of a vector in SMPL-X's axes, in the order of REP-103: vector[..., BODY_AXES]."""

# Columns are REP-103's axes in SMPL-X's.
_AXES = Rotation.from_matrix(np.eye(3)[BODY_AXES].T)
_LEFT_HIP, _RIGHT_HIP = 1, 2


def placed(persons: Sequence[Person]) -> list[Person]:
    """Return the people who are not LOST and whose pose and joints are all finite."""
    return [
        person
        for person in persons
        if person.state is not TrackingState.LOST
        and np.isfinite(person.joints).all()
        and np.isfinite(person.smplx.pose).all()
    ]


def arrays(persons: Sequence[Person]) -> tuple[Array, Array]:
    """Return poses (N, 55, 3), axis-angle, and joints (N, 55, 3), metres, of people."""
    shape = (len(persons), NUM_JOINTS, 3)
    poses = np.array([person.smplx.pose for person in persons], np.float32).reshape(shape)
    joints = np.array([person.joints for person in persons], np.float32).reshape(shape)
    return poses, joints


def root_frames(poses: Array, joints: Array) -> Float64:
    """Return the root frame (N, 1, 7) of each body: x y z in metres, quaternion x y z w.

    `poses` (N, J, 3) axis-angle and `joints` (N, J, 3) metres, both in the optical frame; only the
    root's rotation and the hips are used.
    """
    if not len(poses):
        return np.empty((0, 1, 7))
    place = _middle_of_hips(joints.astype(np.float64))
    turn = (Rotation.from_rotvec(poses[:, 0].astype(np.float64)) * _AXES).as_quat()
    frames: Float64 = np.concatenate([place, turn], axis=1)[:, None]
    return frames


class JointFrames:
    """Frames of all joints of people with one body."""

    def __init__(self, parents: npt.NDArray[np.integer]) -> None:
        """Prepare the joint tree; `parents` (55,): each joint's parent, -1 for the root."""
        self._tree = JointTree(np.asarray(parents), np.asarray)
        self._parents = np.asarray(parents)[1:]

    def __call__(self, poses: Array, joints: Array) -> Float64:
        """Return the frames (N, 55, 7) of all joints, root first: x y z, quaternion x y z w.

        Metres. `poses` (N, 55, 3) axis-angle and `joints` (N, 55, 3) metres in the optical frame.
        The root is in the optical frame, every other joint in the frame of its parent.
        """
        people = len(poses)
        frames = np.empty((people, len(self._parents) + 1, 7))
        if not people:
            return frames
        # A change of axes permutes the rotation vector.
        local = Rotation.from_rotvec(poses[..., BODY_AXES].reshape(-1, 3).astype(np.float64))
        frames[..., 3:] = local.as_quat().reshape(people, -1, 4)
        frames[:, :1] = root_frames(poses, joints)

        rotations = local.as_matrix().reshape(people, -1, 3, 3)
        rotations[:, 0] = Rotation.from_quat(frames[:, 0, 3:]).as_matrix()
        origins = joints.astype(np.float64)
        bones = origins[:, 1:] - origins[:, self._parents]
        from_hips = origins[:, 1:] - frames[:, :1, :3]
        bones = np.where((self._parents == 0)[:, None], from_hips, bones)
        above = self._tree.orientations(rotations)[:, self._parents]
        frames[:, 1:, :3] = np.einsum("njba,njb->nja", above, bones)
        return frames


def _middle_of_hips(joints: Float64) -> Float64:
    middle: Float64 = (joints[:, _LEFT_HIP] + joints[:, _RIGHT_HIP]) / 2
    return middle
