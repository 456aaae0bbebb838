# SPDX-License-Identifier: Apache-2.0
"""Rotations and forward kinematics of a joint tree, batched over people."""

from __future__ import annotations

from collections.abc import Sequence

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


def tree_levels(parents: npt.NDArray[np.integer]) -> list[npt.NDArray[np.intp]]:
    """Joints of a tree by depth, root first: everything in one level can be computed at once.

    `parents` (J,) gives each joint's parent, -1 for the root; parents come before their children.
    """
    depth = np.zeros(len(parents), np.intp)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            depth[joint] = depth[parent] + 1
    return [np.flatnonzero(depth == level) for level in range(int(depth.max()) + 1)]


def forward_kinematics(
    rotations: Array,
    rest_joints: Array,
    parents: npt.NDArray[np.integer],
    levels: Sequence[npt.NDArray[np.intp]],
) -> tuple[Array, Array]:
    """Global rotations (B, J, 3, 3) and positions (B, J, 3) of the joints.

    `rotations` (B, J, 3, 3) are relative to the parent, `rest_joints` (B, J, 3) are the joints of
    the T-pose, `levels` comes from `tree_levels`.
    """
    orientation = np.empty_like(rotations)
    position = np.empty_like(rest_joints)
    root = levels[0]
    orientation[:, root] = rotations[:, root]
    position[:, root] = rest_joints[:, root]
    for joints in levels[1:]:
        parent = parents[joints]
        above = orientation[:, parent]
        offset = rest_joints[:, joints] - rest_joints[:, parent]
        orientation[:, joints] = above @ rotations[:, joints]
        position[:, joints] = position[:, parent] + (above @ offset[..., None])[..., 0]
    return orientation, position
