# SPDX-License-Identifier: Apache-2.0
"""Joints, lengths and angles of one body that the recognisers of gestures and postures share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.core.people import SMPLX_JOINT_NAMES, Array

Float64 = npt.NDArray[np.float64]

JOINT = {name: index for index, name in enumerate(SMPLX_JOINT_NAMES)}
"""Index of each of SMPL-X's joints."""
SIDES = ("left", "right")
FINGERS = tuple(
    slice(JOINT[f"{side}_index1"], JOINT[f"{side}_thumb3"] + 1) for side in ("left", "right")
)
"""Joints of the fingers of the left and of the right hand."""
WRISTS = tuple(JOINT[f"{side}_wrist"] for side in SIDES)

LEVEL_CAMERA_UP = np.array([0.0, -1.0, 0.0])
"""Upwards in the optical frame of a camera that is level."""
MIN_CONFIDENCE = 0.2
"""Confidence below which a joint counts as not observed."""
MIN_UPRIGHT = 0.7
"""Least cosine between spine and vertical of an upright body."""


def observed(joints: Array, confidence: Array, *indices: int) -> bool:
    """Return whether all these joints are known and not of low confidence.

    `joints` (55, 3), `confidence` (55,); a confidence of NaN is one that the estimator does not
    give, and counts as high.
    """
    part = list(indices)
    known = bool(np.isfinite(joints[part]).all())
    return known and not (confidence[part] < MIN_CONFIDENCE).any()


def hands_seen(confidence: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
    """Return whether the left and the right hand were seen (..., 2): any joint of the fingers was.

    `confidence` (..., 55); NaN counts as high, as above.
    """
    low = [confidence[..., fingers].max(axis=-1) < MIN_CONFIDENCE for fingers in FINGERS]
    return ~np.stack(low, axis=-1)


def arm(side: str) -> tuple[int, int, int]:
    """Return shoulder, elbow and wrist of the `left` or `right` arm."""
    return JOINT[f"{side}_shoulder"], JOINT[f"{side}_elbow"], JOINT[f"{side}_wrist"]


def spine(joints: Array) -> Float64:
    """Return the unit vector (3,) from the pelvis to the neck."""
    return unit(joints[JOINT["neck"]] - joints[JOINT["pelvis"]])


def leftwards(joints: Array) -> Float64:
    """Return the unit vector (3,) from the right to the left shoulder."""
    return unit(joints[JOINT["left_shoulder"]] - joints[JOINT["right_shoulder"]])


def unit(vector: npt.NDArray[np.floating]) -> Float64:
    """Return a vector (3,) at length 1; NaN if it has none."""
    wide = vector.astype(np.float64)
    length = np.linalg.norm(wide)
    normal: Float64 = wide / length if length > 0.0 else np.full(3, np.nan)
    return normal


def angle(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> float:
    """Return the angle between two vectors (3,), 0 to pi radians; NaN if one has no length."""
    return float(np.arccos(np.clip(unit(first) @ unit(second), -1.0, 1.0)))


def distance(first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]) -> float:
    """Return the distance of two points (3,)."""
    return float(np.linalg.norm(first.astype(np.float64) - second))
