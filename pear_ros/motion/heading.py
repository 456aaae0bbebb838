# SPDX-License-Identifier: Apache-2.0
"""Motion that begins as robots do: at the origin, facing +x."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pear_ros.core import quaternions
from pear_ros.core.heading import heading
from pear_ros.motion.motion import Motion

_BEGINNING = 0.5
"""Time of which the mean heading counts, seconds."""


def facing_ahead(motion: Motion) -> Motion:
    """Return the motion with the pelvis above the origin at first, and the heading along +x."""
    count = max(1, round(_BEGINNING * motion.rate))
    ahead = quaternions.to_matrices(heading(motion.rotations[:count, 0])).mean(axis=0)[:, 0]
    yaw = float(np.arctan2(ahead[1], ahead[0]))
    turn = quaternions.from_vectors(np.array([0.0, 0.0, -yaw]))
    rotations = motion.rotations.copy()
    root = rotations[:, 0]
    rotations[:, 0] = quaternions.product(np.broadcast_to(turn, root.shape), root)
    pelvis = (motion.pelvis - [*motion.pelvis[0, :2], 0.0]) @ quaternions.to_matrices(turn).T
    return replace(motion, rotations=rotations, pelvis=pelvis)
