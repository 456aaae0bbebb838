# SPDX-License-Identifier: Apache-2.0
"""The world of motion with y up, as BVH and TRC have it: x stays, z becomes y, y becomes -z."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.core import quaternions

Doubles = npt.NDArray[np.float64]

_TURN = quaternions.from_vectors(np.array([-0.5 * np.pi, 0.0, 0.0]))


def points(positions: Doubles) -> Doubles:
    """Return `positions` (..., 3) of the world with z up in the one with y up."""
    x, y, z = np.moveaxis(positions, -1, 0)
    return np.stack([x, z, -y], axis=-1)


def orientations(rotations: Doubles) -> Doubles:
    """Return rotations (..., 4), x y z w, from the body to the one world as ones to the other."""
    return quaternions.product(np.broadcast_to(_TURN, rotations.shape), rotations)
