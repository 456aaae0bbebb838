# SPDX-License-Identifier: Apache-2.0
"""Skeletons of people: bones in true size, from recorded joints, without the body's file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pear_ros.body.kinematics import JointTree
from pear_ros.core import quaternions
from pear_ros.core.people import SMPLX_PARENTS
from pear_ros.smoothing.soles import sole_points

Doubles = npt.NDArray[np.float64]

_PARENTS = np.array(SMPLX_PARENTS)
_TREE = JointTree(_PARENTS, np.asarray)


@dataclass(frozen=True)
class Skeleton:
    """The T-pose of one person: x to the left, y up, z out of the chest, metres."""

    bones: Doubles
    """(55, 3) each joint from its parent; the first row is zero."""
    origin: Doubles
    """(3,) the pelvis in the body model's own T-pose, for the size of that model."""

    @property
    def rest(self) -> Doubles:
        """(55, 3) the joints of the T-pose from the pelvis."""
        rest: Doubles = _TREE.moves.astype(np.float64) @ self.bones
        return rest

    def joints(self, rotations: Doubles, pelvis: Doubles) -> Doubles:
        """Return joints (T, 55, 3), metres, of rotations (T, 55, 4) and a pelvis (T, 3)."""
        matrices = _TREE.orientations(quaternions.to_matrices(rotations))
        joints: Doubles = _TREE.positions(
            matrices, np.broadcast_to(self.bones, matrices.shape[:-1])
        )
        return joints + pelvis[:, None]


def skeleton_of(rotations: Doubles, joints: Doubles, transl: Doubles, scale: Doubles) -> Skeleton:
    """Return the skeleton of a person: medians of the bones of T images, in their parents' frames.

    `rotations` (T, 55, 4), `joints` (T, 55, 3) and `transl` (T, 3) in metres, `scale` (T,).
    """
    above = _TREE.orientations(quaternions.to_matrices(rotations))[:, np.maximum(_PARENTS, 0)]
    offsets = joints - joints[:, np.maximum(_PARENTS, 0)]
    local = np.einsum("tjba,tjb->tja", above, offsets)
    origin = (joints[:, 0] - transl) / scale[:, None]
    return Skeleton(np.median(local, axis=0), np.median(origin, axis=0))


def soles_of(rotations: Doubles, joints: Doubles) -> Doubles:
    """Return left heel, left toes, right heel, right toes (T, 4, 3) of joints (T, 55, 3), metres.

    `rotations` (T, 55, 4): unit quaternions, the root's in the frame of the joints.
    """
    pose = quaternions.to_vectors(rotations).astype(np.float32)
    return sole_points(pose, joints.astype(np.float32)).astype(np.float64)
