# SPDX-License-Identifier: Apache-2.0
"""Forward kinematics of the body's skeleton with points attached to it, and their derivatives."""

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
    """N points rigidly attached to body joints."""

    joint: npt.NDArray[np.intp]
    """(N,) the joint that each point moves with."""
    offset: Array
    """(N, 3) from the joint to the point, along the joint's axes, metres."""


@dataclass(frozen=True)
class BodyState:
    """The unknowns of the fit: rotations, shape and translation of one body."""

    rotations: Array
    """(22, 3, 3) relative to the parent; the first turns body axes into the optical frame."""
    betas: Array
    """(num_betas,) shape coefficients."""
    transl: Array
    """(3,) translation, metres."""


@dataclass(frozen=True)
class PosedSkeleton:
    """Orientations and positions of the 22 joints in the optical frame."""

    orientation: Array
    """(22, 3, 3) of each joint, from its own axes to the optical frame."""
    position: Array
    """(22, 3) metres."""


class Skeleton:
    """Forward kinematics and derivatives of the first 22 joints of a body model."""

    def __init__(self, body: BodyModel) -> None:
        """Compute the bones in the T-pose and their derivatives with respect to betas."""
        tree = self._tree = JointTree(body.parents[:NUM_BODY_JOINTS])
        zeros = np.zeros((1, body.num_betas + body.num_expression), np.float32)
        rest = body.rest_joints(zeros[:, : body.num_betas], zeros[:, body.num_betas :])
        self.bones: Array = tree.bones(rest[0, :NUM_BODY_JOINTS])
        """(22, 3) from the parent to the joint in the T-pose of zero betas, metres."""
        dirs = body.joint_dirs[:NUM_BODY_JOINTS, :, : body.num_betas]
        self.bone_dirs: Array = np.stack([tree.bones(d) for d in np.moveaxis(dirs, 2, 0)], axis=2)
        """(22, 3, num_betas) derivatives of the bones with respect to betas, metres."""
        self.parents: npt.NDArray[np.int64] = np.asarray(body.parents[:NUM_BODY_JOINTS], np.int64)
        """(22,) parent of each joint, which comes before it; -1 for the root."""
        self._moves = tree.moves.astype(bool)

    def pose(self, state: BodyState) -> PosedSkeleton:
        """Compute orientations and positions of the joints of the body in this state."""
        orientation = self._tree.orientations(state.rotations)
        bones = self.bones + self.bone_dirs @ state.betas
        position = self._tree.positions(orientation, bones)
        return PosedSkeleton(orientation, position + state.transl)

    def points(self, posed: PosedSkeleton, points: AttachedPoints) -> Array:
        """Compute the positions (N, 3) of attached points in the optical frame, metres."""
        turned = posed.orientation[points.joint] @ points.offset[..., None]
        return posed.position[points.joint] + turned[..., 0]

    def jacobian(self, posed: PosedSkeleton, points: AttachedPoints, where: Array) -> Array:
        """Compute the derivatives dp/dx (N, 3, P) of points p = `where` (N, 3).

        Parameters x, P = 66 + num_betas + 3: a small rotation vector of each joint about its own
        axes (22 x 3), betas, translation.
        """
        count, num_betas = len(where), self.bone_dirs.shape[2]
        rotations = 3 * NUM_BODY_JOINTS
        jacobian = np.zeros((count, 3, rotations + num_betas + 3), np.float32)
        lever = where[:, None] - posed.position
        lever *= self._moves[points.joint][..., None]
        # dp = a x (p - o) for a rotation about axis a through joint o; axes are columns.
        axes = posed.orientation
        turned = jacobian[:, :, :rotations].reshape(count, 3, NUM_BODY_JOINTS, 3)
        for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            turned[:, i] = axes[:, j] * lever[..., k, None] - axes[:, k] * lever[..., j, None]
        turned_dirs = posed.orientation[self._tree.parents] @ self.bone_dirs
        turned_dirs[0] = self.bone_dirs[0]
        by_betas = self._tree.moves @ turned_dirs.reshape(NUM_BODY_JOINTS, -1)
        jacobian[:, :, rotations:-3] = by_betas.reshape(turned_dirs.shape)[points.joint]
        jacobian[:, :, -3:] = np.eye(3)
        return jacobian
