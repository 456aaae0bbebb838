# SPDX-License-Identifier: Apache-2.0
"""Points of the feet that touch the floor: heels and toes of a posed SMPL-X body."""

from __future__ import annotations

import numpy as np

from pear_ros.body.kinematics import rotation_matrices
from pear_ros.core.people import Array

# Joints of SMPL-X, left and right.
HIPS, KNEES, ANKLES, FEET = [1, 2], [4, 5], [7, 8], [10, 11]
SOLE_JOINTS = [7, 10, 8, 11]
"""The joints nearest to left heel, left toes, right heel, right toes: the ankles and the feet."""

# Measured on the open body at rest, over the distance of ankle and foot; axes x left, y up, z to
# the toes.
_HEEL = np.array([0.0, -0.51, -0.24], np.float32)
"""The heel's sole from the ankle."""
_TOES = np.array([0.0, -0.18, 0.13], np.float32)
"""The toes' sole from the joint of the foot."""


def sole_points(pose: Array, joints: Array) -> Array:
    """Return left heel, left toes, right heel, right toes (N, 4, 3) of N people.

    `pose` (N, 55, 3): axis-angle, radians; `joints` (N, 55, 3), in any unit, in which the points
    are, too.
    """
    chain = rotation_matrices(pose[:, [0, *HIPS, *KNEES, *ANKLES, *FEET]])  # (N, 9, 3, 3)
    ankle = chain[:, :1] @ chain[:, 1:3] @ chain[:, 3:5] @ chain[:, 5:7]  # (N, 2, 3, 3)
    foot = ankle @ chain[:, 7:9]
    at_ankle, at_foot = joints[:, ANKLES], joints[:, FEET]
    length = np.linalg.norm(at_foot - at_ankle, axis=-1, keepdims=True)
    points = [at_ankle + length * (ankle @ _HEEL), at_foot + length * (foot @ _TOES)]
    soles: Array = np.stack(points, axis=2).reshape(len(pose), 4, 3)
    return soles
