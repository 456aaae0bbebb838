# SPDX-License-Identifier: Apache-2.0
"""The posed body skeleton with points attached to it, and how they move with every parameter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pear_ros.body import BodyModel
from pear_ros.body.kinematics import Array, JointTree

NUM_BODY_JOINTS = 22
"""Pelvis and the 21 joints of SMPL-X's body_pose; hands and face are fitted after them."""


@dataclass(frozen=True)
class AttachedPoints:
    """Points rigidly attached to body joints."""

    joint: npt.NDArray[np.intp]
    """(N,) the joint that each point moves with."""
    offset: Array
    """(N, 3) from the joint to the point, along the joint's axes, metres."""

    def joined(self, other: AttachedPoints) -> AttachedPoints:
        """These points, then the others."""
        return AttachedPoints(
            np.concatenate([self.joint, other.joint]), np.concatenate([self.offset, other.offset])
        )


@dataclass(frozen=True)
class BodyState:
    """What the body fit solves for."""

    rotations: Array
    """(22, 3, 3) relative to the parent; the first turns body axes into the optical frame."""
    betas: Array
    """(num_betas,)"""
    transl: Array
    """(3,) metres."""


@dataclass(frozen=True)
class PosedSkeleton:
    """Joints in the optical frame, and what moves them."""

    orientation: Array
    """(22, 3, 3) of each joint, from its own axes to the optical frame."""
    position: Array
    """(22, 3) metres."""


class Skeleton:
    """Forward kinematics and derivatives of the first 22 joints of a body model."""

    def __init__(self, body: BodyModel) -> None:
        tree = self._tree = JointTree(body.parents[:NUM_BODY_JOINTS])
        zeros = np.zeros((1, body.num_betas + body.num_expression), np.float32)
        rest = body.rest_joints(zeros[:, : body.num_betas], zeros[:, body.num_betas :])
        self._bones = tree.bones(rest[0, :NUM_BODY_JOINTS])
        dirs = body.joint_dirs[:NUM_BODY_JOINTS, :, : body.num_betas]
        self._bone_dirs = np.stack([tree.bones(d) for d in np.moveaxis(dirs, 2, 0)], axis=2)
        self._moves = tree.moves.astype(bool)

    def pose(self, state: BodyState) -> PosedSkeleton:
        """Joints of the body in this state."""
        orientation = self._tree.orientations(state.rotations)
        bones = self._bones + self._bone_dirs @ state.betas
        position = self._tree.positions(orientation, bones)
        return PosedSkeleton(orientation, position + state.transl)

    def points(self, posed: PosedSkeleton, points: AttachedPoints) -> Array:
        """(N, 3) the attached points in the optical frame."""
        turned = posed.orientation[points.joint] @ points.offset[..., None]
        return posed.position[points.joint] + turned[..., 0]

    def jacobian(self, posed: PosedSkeleton, points: AttachedPoints, where: Array) -> Array:
        """(N, 3, 66 + num_betas + 3) movement of the points `where` (N, 3) per parameter.

        Parameters: a small rotation vector of each joint about its own axes (22 x 3), betas,
        translation.
        """
        count, num_betas = len(where), self._bone_dirs.shape[2]
        rotations = 3 * NUM_BODY_JOINTS
        jacobian = np.zeros((count, 3, rotations + num_betas + 3), np.float32)
        lever = where[:, None] - posed.position
        lever *= self._moves[points.joint][..., None]
        # A rotation about axis a moves the end of a lever r by a x r; the axes are the columns.
        axes = posed.orientation
        turned = jacobian[:, :, :rotations].reshape(count, 3, NUM_BODY_JOINTS, 3)
        for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            turned[:, i] = axes[:, j] * lever[..., k, None] - axes[:, k] * lever[..., j, None]
        turned_dirs = posed.orientation[self._tree.parents] @ self._bone_dirs
        turned_dirs[0] = self._bone_dirs[0]
        by_betas = self._tree.moves @ turned_dirs.reshape(NUM_BODY_JOINTS, -1)
        jacobian[:, :, rotations:-3] = by_betas.reshape(turned_dirs.shape)[points.joint]
        jacobian[:, :, -3:] = np.eye(3)
        return jacobian
