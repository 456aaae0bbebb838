# SPDX-License-Identifier: Apache-2.0
"""People as a mirror shows them: left and right change places, x changes its sign."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pear_ros.core.people import SMPLX_JOINT_NAMES, Array

FLIP_X = np.array([-1.0, 1.0, 1.0], np.float32)
"""Factors of a point's coordinates."""


def other_side(names: Sequence[str]) -> list[int]:
    """Return for each name the index of the one with left and right swapped."""
    swap = {"left": "right", "right": "left"}
    return [names.index("_".join(swap.get(p, p) for p in name.split("_"))) for name in names]


OTHER_SIDE_JOINT = other_side(SMPLX_JOINT_NAMES)
"""Index of each joint's counterpart on the other side, in SMPL-X's order."""


def mirrored_rotations(rotations: Array) -> Array:
    """Return the rotations (..., J, 3, 3), relative to the parents, of the mirrored bodies.

    `rotations`: of SMPL-X's first J joints, all of their counterparts among them.
    """
    others = OTHER_SIDE_JOINT[: rotations.shape[-3]]
    return rotations[..., others, :, :] * (FLIP_X[:, None] * FLIP_X)
