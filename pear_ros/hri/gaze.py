# SPDX-License-Identifier: Apache-2.0
"""Where people look, by the orientation of their heads: the turn of the eyes is not read."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from pear_ros.core.people import Array
from pear_ros.hri.body_parts import JOINT, Float64
from pear_ros.hri.joint_angles import orientations

MAX_GAZE_ANGLE = math.radians(20)
"""Greatest angle between a head and what its person looks at: people turn eyes this far without
the head."""
_CHEST, _HEAD = JOINT["spine3"], JOINT["head"]
_EYES = [JOINT["left_eye_smplhf"], JOINT["right_eye_smplhf"]]


def gazes(poses: Array, joints: Array) -> tuple[Float64, Float64]:
    """Return where gazes begin (N, 3), metres, and their directions (N, 3), in the optical frame.

    `poses` (N, J, 3) axis-angle, `joints` (N, 55, 3) metres. The gaze is the x axis of the head,
    from the middle of the eyes (REP-155). NaN for people whose head is unknown.
    """
    return joints[:, _EYES].mean(axis=1, dtype=np.float64), _forward(poses, _HEAD)


def facings(poses: Array) -> Float64:
    """Return the directions (N, 3) in which chests face; `poses` as in gazes."""
    return _forward(poses, _CHEST)


def angles_to(origins: Float64, directions: Float64, targets: Float64) -> Float64:
    """Return the angles (N, M) between directions (N, 3) at origins (N, 3) and M targets (M, 3).

    Radians; NaN where something is unknown, and for a target at its own origin.
    """
    lines = targets[None] - origins[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        lines /= np.linalg.norm(lines, axis=-1, keepdims=True)
    cosines = np.einsum("nmc,nc->nm", lines, directions)
    angles: Float64 = np.arccos(np.clip(cosines, -1.0, 1.0))
    return angles


def gazed_at(angles: Float64) -> npt.NDArray[np.intp]:
    """Return for N people which of M targets they look at, -1: none; `angles` from angles_to."""
    known = np.where(np.isnan(angles), np.inf, angles)
    nearest = known.argmin(axis=1)
    looks = known[np.arange(len(known)), nearest] < MAX_GAZE_ANGLE
    return np.where(looks, nearest, -1)


def _forward(poses: Array, joint: int) -> Float64:
    """Return the x axis (N, 3) of a joint in the optical frame."""
    directions = np.full((len(poses), 3), np.nan)
    known = np.isfinite(poses).all(axis=(1, 2))
    if known.any():
        directions[known] = orientations(poses[known], in_camera=True)[:, joint, :, 0]
    return directions
