# SPDX-License-Identifier: Apache-2.0
"""The FLAME head (Li et al., SIGGRAPH Asia 2017) as PEAR's EHM-s sets it on an SMPL-X body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pear_ros.body.kinematics import Array

NUM_SHAPE = 300
NUM_EXPRESSION = 50
PARENTS: npt.NDArray[np.int32] = np.array([-1, 0, 1, 1, 1], np.int32)
"""Parents of FLAME's joints: global, neck, jaw, left eye, right eye."""


@dataclass(frozen=True)
class FlameModel:
    """FLAME 2020 and its place on SMPL-X, from the user's files (V = 5023 vertices)."""

    v_template: Array
    """(V, 3) metres."""
    shapedirs: Array
    """(V, 3, 350) vertex offsets per unit: 300 of shape, then 50 of expression."""
    posedirs: Array
    """(V, 3, 36) pose-corrective offsets, 9 for each joint but the first, row-major."""
    joint_regressor: Array
    """(5, V) joints as weighted means of vertices."""
    weights: Array
    """(V, 5) skinning weights; rows sum to 1."""
    eyelids: Array
    """(2, V, 3) vertex offsets that close the left, then the right eyelid."""
    smplx_vertices: npt.NDArray[np.intp]
    """(V,) index of the SMPL-X vertex in the place of each FLAME vertex."""
    swapped: npt.NDArray[np.bool_]
    """(V,) whether the FLAME vertex replaces it; not at the neck and the head's boundary."""
