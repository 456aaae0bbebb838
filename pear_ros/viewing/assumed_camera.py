# SPDX-License-Identifier: Apache-2.0
"""Pose of a camera over the floor, assumed from people where no transform says it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.core import quaternions
from pear_ros.core.people import SMPLX_JOINT_NAMES, Array
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.viewing.moment import LEVEL_CAMERA

_PELVIS, _NECK = SMPLX_JOINT_NAMES.index("pelvis"), SMPLX_JOINT_NAMES.index("neck")
_MAX_TILT = np.radians(50.0)
"""Tilt of people's trunks beyond which they are taken to lie before a level camera."""
_LOW_PERCENT = 30.0
"""Percentile of the heights of people's lowest joints that is taken for the floor."""
_SOLE_METRES = 0.03
"""Height of the lowest joint of a standing foot over the floor."""
_USUAL_METRES = 1.2


def assumed_camera(joints: Array) -> RigidTransform:
    """Return the pose of a camera that sees people who, on average, are upright on one floor.

    `joints`: (N, 55, 3) in the optical frame, metres; NaN: unknown. The camera is level if they are
    none, or are tilted by more than 50 degrees on average.
    """
    known = joints[np.isfinite(joints).all(axis=(1, 2))].astype(np.float64)
    rotation = _upright(known[:, _NECK] - known[:, _PELVIS])
    heights = (known @ rotation.T)[..., 2].min(axis=1, initial=np.inf)
    floor = np.percentile(heights, _LOW_PERCENT) - _SOLE_METRES if len(heights) else -_USUAL_METRES
    return RigidTransform(rotation, np.array([0.0, 0.0, -float(floor)]))


def _upright(trunks: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the rotation (3, 3) from the optical frame to one whose z is along trunks (N, 3)."""
    level = LEVEL_CAMERA.rotation
    length = np.linalg.norm(trunks, axis=1, keepdims=True)
    mean = level @ (trunks / np.maximum(length, 1e-9)).sum(axis=0)
    norm = float(np.linalg.norm(mean))
    if norm < 1e-6 or mean[2] / norm < np.cos(_MAX_TILT):
        return level
    # Trunks tilt to the sides as people move; a camera is tilted forwards or backwards.
    mean[1] = 0.0
    turn = quaternions.between(mean, (0.0, 0.0, 1.0))
    return RigidTransform.from_quaternion(np.zeros(3), turn).rotation @ level
