# SPDX-License-Identifier: Apache-2.0
"""Finger joints of the Unitree Dex3-1 hand from a person's fingers: they bend as the person's do.

The hand has a thumb of three joints, and a middle and an index finger of two; 0 is open.
"""

from __future__ import annotations

import numpy as np

from pear_ros.core import quaternions
from pear_ros.hri.body_parts import JOINT, SIDES
from pear_ros.streaming.body_pose import Float64

_JOINTS = ("thumb2", "thumb3", "middle1", "middle2", "middle3", "index1", "index2", "index3")
_CLOSED = np.array([0.0, 1.05, 1.75, 1.57, 1.75, 1.57, 1.75])
"""Angles of the closed hand without signs, radians."""
_SIGNS = {
    "left": np.array([1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0]),
    "right": np.array([1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0]),
}


def hand_joints(rotations: Float64) -> tuple[Float64, Float64]:
    """Return the joints (7,) of the left and the right hand, radians.

    Thumb (base, two that bend), middle finger (2), index finger (2); the thumb's base stays at 0.
    `rotations` (55, 4): x y z w, relative to the parents.
    """
    left, right = (_hand(rotations, side) for side in SIDES)
    return left, right


def _hand(rotations: Float64, side: str) -> Float64:
    fingers = rotations[[JOINT[f"{side}_{name}"] for name in _JOINTS]]
    bends = np.linalg.norm(quaternions.to_vectors(fingers), axis=-1)
    thumb2, thumb3, middle1, middle2, middle3, index1, index2, index3 = bends
    angles = [0.0, thumb2, thumb3, middle1, middle2 + middle3, index1, index2 + index3]
    signed: Float64 = _SIGNS[side] * np.minimum(angles, _CLOSED)
    return signed
