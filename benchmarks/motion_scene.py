# SPDX-License-Identifier: Apache-2.0
"""Scenes of people in motion, each on their own: the truth and noisy measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.motion import Doubles, PersonMotion, PoseSequence, measure
from pear_ros.core.people import NUM_JOINTS

DURATION = 12.0
"""Duration of a scene, seconds."""
FINE = 240
"""Sampling rate of the truth for estimates of the lag, Hz."""
LAGS = np.arange(-0.1, 0.35, 2 / FINE)
"""Candidates of the lag, seconds."""


@dataclass(frozen=True)
class Scene:
    """The true motion of N people at T times, and measurements of it."""

    times: Doubles
    """(T,) seconds."""
    rotations: Doubles
    """(T, N, 55, 4) measured rotations, unit quaternions."""
    pelvis: Doubles
    """(T, N, 3) measured pelvis, metres."""
    joints: Sequence[Doubles]
    """For each of LAGS (T, N, 55, 3): true joints that much earlier, relative to the pelvis."""
    true_pelvis: Sequence[Doubles]
    """For each of LAGS (T, N, 3): true pelvis that much earlier, metres."""

    @classmethod
    def generate(cls, seeds: Sequence[int], rate: float, outliers: float) -> Scene:
        """Return a scene of one person per seed, with images at `rate` (Hz)."""
        times: Doubles = np.arange(0.0, DURATION, 1 / rate, np.float64)
        people = [PersonMotion(seed, DURATION) for seed in seeds]
        measured = [
            measure(one.at(times), times, seed, outliers)
            for one, seed in zip(people, seeds, strict=True)
        ]
        fine: Doubles = np.arange(-0.5, DURATION + 0.5, 1 / FINE, np.float64)
        truth = [one.at(fine) for one in people]
        joints = np.stack([one.joints() for one in truth], axis=1)
        pelvis = np.stack([one.pelvis for one in truth], axis=1)
        now = np.round((times + 0.5) * FINE).astype(int)
        shifts = np.round(LAGS * FINE).astype(int)
        return cls(
            times=times,
            rotations=np.stack([_quaternions(one) for one in measured], axis=1),
            pelvis=np.stack([one.pelvis for one in measured], axis=1),
            joints=[joints[now - shift] for shift in shifts],
            true_pelvis=[pelvis[now - shift] for shift in shifts],
        )

    @property
    def rate(self) -> float:
        """Frame rate, Hz."""
        return float(1.0 / (self.times[1] - self.times[0]))


def _quaternions(poses: PoseSequence) -> Doubles:
    return np.asarray(poses.rotations.as_quat().reshape(-1, NUM_JOINTS, 4))
