# SPDX-License-Identifier: Apache-2.0
"""Where an upright body would face: the heading of a root's orientation.

Frame: a fixed frame with z up (REP-103). Rotations are unit quaternions x y z w.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.core import quaternions

Doubles = npt.NDArray[np.float64]

UPRIGHT = np.array([0.5, 0.5, 0.5, 0.5])
"""Rotation of an upright body that faces along x, from its axes at rest (SMPL-X's: x to the left, y
up, z out of the chest) to the world: x to y, y to z, z to x."""
UPRIGHT_INVERSE = UPRIGHT * (-1.0, -1.0, -1.0, 1.0)
"""The inverse of UPRIGHT."""

_IDENTITY = np.array([0.0, 0.0, 0.0, 1.0])


def heading(rotations: Doubles) -> Doubles:
    """Return the rotations (..., 4) about z of roots' `rotations` (..., 4): 0 where one faces x.

    `rotations`: from the body's axes at rest to the world. Their twist about the vertical
    (swing-twist decomposition): where the person would face when raised from any pose, lying ones
    too, without a turn. Without a twist, as of a body upside down, the identity.
    """
    inverse = np.broadcast_to(UPRIGHT_INVERSE, rotations.shape)
    twist = quaternions.product(rotations, inverse) * (0.0, 0.0, 1.0, 1.0)
    lengths = np.linalg.norm(twist, axis=-1, keepdims=True)
    return np.where(lengths > 1e-6, twist / np.maximum(lengths, 1e-6), _IDENTITY)
