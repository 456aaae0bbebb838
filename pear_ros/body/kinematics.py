# SPDX-License-Identifier: Apache-2.0
"""Rotations and forward kinematics of a joint tree, batched over people."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

# Below this angle (radians) sin(a)/a and (1-cos(a))/a^2 equal their limits in float32.
_SMALL_ANGLE = 1e-4


def rotation_matrices(axis_angle: npt.NDArray[np.floating]) -> Array:
    """Rotation matrices (..., 3, 3) of axis-angle vectors (..., 3) (Rodrigues' formula)."""
    vector = np.asarray(axis_angle, np.float32)
    angle = np.sqrt(np.einsum("...i,...i->...", vector, vector))
    safe = np.maximum(angle, _SMALL_ANGLE)
    sine = np.sin(safe) / safe
    cosine = (1.0 - np.cos(safe)) / (safe * safe)
    x, y, z = vector[..., 0], vector[..., 1], vector[..., 2]
    matrix: Array = cosine[..., None, None] * (vector[..., :, None] * vector[..., None, :])
    diagonal = 1.0 - cosine * angle * angle
    for i in range(3):
        matrix[..., i, i] += diagonal
    for row, column, component in ((2, 1, x), (0, 2, y), (1, 0, z)):
        matrix[..., row, column] += sine * component
        matrix[..., column, row] -= sine * component
    return matrix


def rotation_vectors(matrices: Array) -> Array:
    """Axis-angle vectors (..., 3) of rotation matrices (..., 3, 3), short of half a turn.

    The inverse of `rotation_matrices` for angles below about 3.1 radians; beyond, the axis is lost
    in rounding. SciPy's Rotation is exact everywhere and some ten times slower.
    """
    opposite = matrices - matrices.swapaxes(-1, -2)
    axis = np.stack([opposite[..., 2, 1], opposite[..., 0, 2], opposite[..., 1, 0]], axis=-1) / 2
    sine = np.sqrt(np.einsum("...i,...i->...", axis, axis))
    cosine = (np.einsum("...ii->...", matrices) - 1.0) / 2.0
    ratio = np.where(sine > _SMALL_ANGLE, np.arctan2(sine, cosine) / np.maximum(sine, 1e-12), 1.0)
    vectors: Array = (axis * ratio[..., None]).astype(np.float32)
    return vectors


class JointTree:
    """Forward kinematics of joints that hang on each other."""

    def __init__(self, parents: npt.NDArray[np.integer]) -> None:
        """`parents` (J,): each joint's parent, -1 for the root, which comes first."""
        count = len(parents)
        self.parents = np.maximum(parents, 0).astype(np.intp)
        """(J,) as given, but the root is its own parent."""
        self.moves = np.eye(count, dtype=np.float32)
        """(J, J) 1 where the joint of the column moves the joint of the row, or is that joint."""
        depth = np.zeros(count, np.intp)
        for joint in range(1, count):
            self.moves[joint] += self.moves[parents[joint]]
            depth[joint] = depth[parents[joint]] + 1
        # Everything of one depth can be computed at once.
        self._levels = [np.flatnonzero(depth == level) for level in range(1, int(depth.max()) + 1)]

    def orientations(self, rotations: Array) -> Array:
        """(..., J, 3, 3) of each joint in the root's frame, from those relative to the parent."""
        orientation = np.empty_like(rotations)
        orientation[..., 0, :, :] = rotations[..., 0, :, :]
        for joints in self._levels:
            above = orientation[..., self.parents[joints], :, :]
            orientation[..., joints, :, :] = above @ rotations[..., joints, :, :]
        return orientation

    def bones(self, rest_joints: Array) -> Array:
        """(..., J, 3) from each joint's parent to the joint in the T-pose; the root's own place."""
        bones = rest_joints - rest_joints[..., self.parents, :]
        bones[..., 0, :] = rest_joints[..., 0, :]
        return bones

    def positions(self, orientation: Array, bones: Array) -> Array:
        """(..., J, 3) of the joints, given their orientations and `bones`."""
        turned = (orientation[..., self.parents, :, :] @ bones[..., None])[..., 0]
        turned[..., 0, :] = bones[..., 0, :]
        return self.moves @ turned
