# SPDX-License-Identifier: Apache-2.0
"""Figures of smoothed motion: jitter, lag and error against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.motion import Doubles
from benchmarks.motion_scene import LAGS, Scene
from pear_ros.body import load_open_body
from pear_ros.core import quaternions
from pear_ros.core.people import NUM_JOINTS, Array


@dataclass(frozen=True)
class Figures:
    """Jitter (m/s^2), lag (ms) and error (mm) of one method."""

    jitter: float
    lag: float
    error: float

    def row(self) -> list[str]:
        """Return the figures as table cells."""
        return [f"{self.jitter:.1f}", f"{self.lag:.0f}", f"{self.error:.1f}"]


def figures(estimates: Doubles, truth: Sequence[Doubles], rate: float) -> Figures:
    """Return the figures of estimates (T, ..., D), against the truth for each of LAGS."""
    settled = int(rate)
    errors = [
        np.linalg.norm(estimates[settled:] - earlier[settled:], axis=-1).mean() for earlier in truth
    ]
    best, part = int(np.argmin(errors)), 0.0
    if 0 < best < len(errors) - 1:
        before, least, after = errors[best - 1 : best + 2]
        part = 0.5 * (before - after) / (before - 2 * least + after)
    true = truth[int(np.argmin(np.abs(LAGS)))]
    jitter = (
        np.linalg.norm(np.diff(estimates - true, 2, axis=0), axis=-1)[settled:].mean() * rate**2
    )
    error = np.linalg.norm(estimates - true, axis=-1)[settled:].mean()
    lag = LAGS[best] + part * (LAGS[1] - LAGS[0])
    return Figures(float(jitter), float(1000 * lag), float(1000 * error))


def joint_figures(scene: Scene, rotations: Doubles) -> Figures:
    """Return the figures of the joints of poses (T, N, 55, 4)."""
    count = rotations.shape[1]
    pose = quaternions.to_vectors(rotations).reshape(-1, NUM_JOINTS, 3).astype(np.float32)
    joints = posed_joints(pose).astype(np.float64)
    relative: Doubles = (joints - joints[:, :1]).reshape(-1, count, NUM_JOINTS, 3)
    return figures(relative, scene.joints, scene.rate)


def pelvis_figures(scene: Scene, pelvis: Doubles) -> tuple[Figures, Figures]:
    """Return the figures of positions (T, N, 3) across the line of sight and along it.

    Those across the line of sight are at the true distance.
    """
    depth = scene.true_pelvis[int(np.argmin(np.abs(LAGS)))][..., 2:]

    def across(points: Doubles) -> Doubles:
        return np.asarray(points[..., :2] / points[..., 2:] * depth)

    return (
        figures(across(pelvis), [across(true) for true in scene.true_pelvis], scene.rate),
        figures(pelvis[..., 2:], [true[..., 2:] for true in scene.true_pelvis], scene.rate),
    )


def posed_joints(pose: Array) -> Array:
    """Return joints (B, 55, 3), metres, of poses (B, 55, 3) of the mean body at the origin."""
    body = load_open_body()
    sizes = (body.num_betas, body.num_expression, 3)
    joints: Array = body.joints(pose, *(np.zeros((len(pose), size), np.float32) for size in sizes))
    return joints
