# SPDX-License-Identifier: Apache-2.0
"""Forward kinematics of a joint tree in compiled code, in single precision.

Numba compiles this module when it is imported for the first time, which takes seconds, and caches
the result on disk: beside this file or, if that cannot be written, in the user's cache directory.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from pear_ros.body.kinematics import Array


@njit(
    "float32[:, :, ::1](float32[:, :, :, ::1], float32[:, :, ::1], int64[::1])",
    cache=True,
    nogil=True,
)
def posed(rotations: Array, rest_joints: Array, parents: npt.NDArray[np.int64]) -> Array:
    """Return the positions (B, J, 3) of joints; parents come before their children.

    `rotations` (B, J, 3, 3) relative to the parents; `rest_joints` (B, J, 3): T-pose; `parents`
    (J,): the root is its own.
    """
    people, joints, _ = rest_joints.shape
    positions = np.empty_like(rest_joints)
    G = np.empty((joints, 3, 3), np.float32)  # orientations in the root's frame
    for b in range(people):
        G[0] = rotations[b, 0]
        positions[b, 0] = rest_joints[b, 0]
        for j in range(1, joints):
            above = parents[j]
            for i in range(3):
                positions[b, j, i] = positions[b, above, i]
                for k in range(3):
                    bone = rest_joints[b, j, k] - rest_joints[b, above, k]
                    positions[b, j, i] += G[above, i, k] * bone
                    G[j, i, k] = 0.0
                    for q in range(3):
                        G[j, i, k] += G[above, i, q] * rotations[b, j, q, k]
    return positions
