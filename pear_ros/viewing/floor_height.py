# SPDX-License-Identifier: Apache-2.0
"""Height of a level camera over the floor, assumed where no transform says it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pear_ros.core.people import Array
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.viewing.moment import LEVEL_CAMERA

_LOW_PERCENT = 20.0
"""Percentile of the heights of people's lowest joints that is taken for the floor."""
_SOLE_METRES = 0.03
"""Height of the lowest joint of a standing foot over the floor."""
_USUAL_METRES = 1.2


def level_camera(joints: Array) -> RigidTransform:
    """Return the pose of a level camera over the floor on which people seem to stand.

    `joints`: (N, 55, 3) of people in the optical frame, metres; NaN: unknown.
    """
    lowest = np.nanmax(np.where(np.isfinite(joints), joints, -np.inf)[..., 1], axis=1, initial=-9e9)
    known = lowest[lowest > -1e6]
    height = float(np.percentile(known, 100.0 - _LOW_PERCENT)) if len(known) else _USUAL_METRES
    return replace(LEVEL_CAMERA, translation=np.array([0.0, 0.0, height + _SOLE_METRES]))
