# SPDX-License-Identifier: Apache-2.0
"""How far the joints of a body are visible, from the visibility of its landmarks."""

from __future__ import annotations

import numpy as np

from pear_ros.core.people import NUM_JOINTS, SMPLX_JOINT_NAMES, Array, Image
from pear_ros.landmarks.topology import NUM_POSE, Pose
from pear_ros.landmarks.types import PoseLandmarks

_FULL_VISIBILITY = 0.5
"""Visibility of a landmark from which on its joint counts as visible: limbs that the body itself
hides in part are still estimated well."""


def _landmarks_of(joint: str) -> tuple[Pose, ...]:
    """Return the landmarks that show a joint; none for joints of the trunk."""
    side, _, part = joint.partition("_")
    if joint == "pelvis":
        return (Pose.LEFT_HIP, Pose.RIGHT_HIP)
    if side not in ("left", "right") or part in ("collar", "eye_smplhf"):
        return ()
    if part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist"):
        return (Pose[joint.upper()],)
    return (Pose[f"{side}_{'foot_index' if part == 'foot' else 'wrist'}".upper()],)


_WEIGHTS = np.zeros((NUM_JOINTS, NUM_POSE), np.float32)
for _row, _name in enumerate(SMPLX_JOINT_NAMES):
    for _landmark in _landmarks_of(_name):
        _WEIGHTS[_row, _landmark] = 1.0 / len(_landmarks_of(_name))
_ALWAYS = 1.0 - _WEIGHTS.sum(axis=1)
"""(55,) 1 for joints without landmarks."""


def joint_visibility(pose: PoseLandmarks, image: Image) -> Array:
    """Return how far each joint (55,) is visible, 0 to 1: 0 where its landmark is outside.

    1 for joints of the trunk and head, which have no landmark of their own.
    """
    points = pose.image[:, :2]
    inside = ((points >= 0.0) & (points < image.shape[1::-1])).all(axis=1)
    seen = np.minimum(pose.visibility / _FULL_VISIBILITY, 1.0) * pose.presence * inside  # (33,)
    result: Array = _ALWAYS + _WEIGHTS @ seen.astype(np.float32)
    return result
