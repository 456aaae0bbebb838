# SPDX-License-Identifier: Apache-2.0
"""Synthetic motion of people: the truth, and noisy measurements of it image by image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.body import load_open_body
from pear_ros.core.people import NUM_JOINTS, SMPLX_JOINT_NAMES
from pear_ros.training.poses import FACING_CAMERA, sample_rotations

Doubles = npt.NDArray[np.float64]

_INDEX = {name: number for number, name in enumerate(SMPLX_JOINT_NAMES)}
_ARMS = [
    _INDEX[f"{side}_{joint}"]
    for side in ("left", "right")
    for joint in ("shoulder", "elbow", "wrist")
]
_TRUNK = [_INDEX[name] for name in ("spine1", "spine2", "spine3", "neck", "head")]
_FINGERS = list(range(_INDEX["left_index1"], NUM_JOINTS))


@dataclass(frozen=True)
class PoseSequence:
    """Rotations and positions of one body at T times."""

    rotations: Rotation
    """T * 55 rotations, time by time: of the root to the camera, of other joints to the parent."""
    pelvis: Doubles
    """(T, 3) in the camera's optical frame, metres."""

    def joints(self) -> Doubles:
        """Return (T, 55, 3) joints relative to the pelvis, metres."""
        body = load_open_body()
        pose = self.rotations.as_rotvec().reshape(-1, NUM_JOINTS, 3).astype(np.float32)
        zeros = [
            np.zeros((len(pose), size), np.float32)
            for size in (body.num_betas, body.num_expression, 3)
        ]
        joints: Doubles = body.joints(pose, *zeros).astype(np.float64)
        return joints - joints[:, :1]


class PersonMotion:
    """A person who walks to and fro in front of the camera, gestures, raises an arm, and stops."""

    def __init__(self, seed: int, duration: float) -> None:
        """Draw the motion's parameters, for `duration` seconds."""
        rng = np.random.default_rng(seed)
        self._base = Rotation.from_matrix(sample_rotations(rng, "standing"))
        # Times, seconds, at which the person stops for a while, and at which an arm rises quickly.
        self._halts = np.arange(rng.uniform(1.5, 3.0), duration, 4.0)
        self._halt_length = rng.uniform(1.0, 1.6)
        self._raises = np.arange(rng.uniform(0.5, 2.0), duration, 2.5)
        self._raise_length = rng.uniform(0.3, 0.45)
        self._raise_angle = np.radians(rng.uniform(70.0, 120.0))
        self._raised = rng.choice([_INDEX["left_shoulder"], _INDEX["right_shoulder"]])
        self._stride = np.radians(rng.uniform(18.0, 30.0))
        self._step_rate = rng.uniform(0.8, 1.1)
        self._gesture = _Swings(rng, (0.3, 2.5), np.radians(14.0), len(_ARMS))
        self._sway = _Swings(rng, (0.2, 1.2), np.radians(3.0), len(_TRUNK))
        self._grasp = _Swings(rng, (0.3, 1.5), np.radians(7.0), len(_FINGERS))
        self._heading = _Swings(rng, (0.1, 0.4), np.radians(18.0), 1)
        self._start = np.array([rng.uniform(-0.5, 0.5), 0.2, rng.uniform(4.0, 4.5)])
        # Amplitude (m) and frequency (Hz) of walking to and fro.
        self._walk = np.array([rng.uniform(0.2, 0.5), 0.0, rng.uniform(0.9, 1.4)])
        self._walk_rate = rng.uniform(0.11, 0.15)

    def at(self, times: Doubles) -> PoseSequence:
        """Return the true poses at `times` (T,), seconds."""
        active = self._active_time(times)
        turns = np.zeros((len(times), NUM_JOINTS, 3))
        turns[:, _ARMS] = self._gesture(active)
        turns[:, _TRUNK] = self._sway(active)
        turns[:, _FINGERS] = self._grasp(active)
        phase = 2.0 * np.pi * self._step_rate * active
        for side, sign in (("left", 1.0), ("right", -1.0)):
            swing = sign * np.sin(phase)
            turns[:, _INDEX[f"{side}_hip"], 0] = -self._stride * swing
            bent = 0.5 + 0.5 * np.cos(phase + (0.0 if sign > 0 else np.pi))
            turns[:, _INDEX[f"{side}_knee"], 0] = 1.6 * self._stride * bent**2
            turns[:, _INDEX[f"{side}_ankle"], 0] = 0.4 * self._stride * swing
            turns[:, _INDEX[f"{side}_shoulder"], 0] += 0.7 * self._stride * swing
        up = np.zeros(len(times))
        for number, begin in enumerate(self._raises):
            up += (-1.0) ** number * _minimum_jerk((times - begin) / self._raise_length)
        outwards = 1.0 if self._raised == _INDEX["left_shoulder"] else -1.0
        turns[:, self._raised, 2] += outwards * self._raise_angle * up
        turns[:, 0, 1] = self._heading(active)[:, 0, 1]
        facing = np.tile(FACING_CAMERA, (len(times), NUM_JOINTS, 1, 1))
        facing[:, 1:] = np.eye(3)
        base = np.tile(self._base.as_rotvec(), (len(times), 1))
        rotations = (
            Rotation.from_matrix(facing.reshape(-1, 3, 3))
            * Rotation.from_rotvec(base)
            * Rotation.from_rotvec(turns.reshape(-1, 3))
        )
        to_and_fro = np.sin(2.0 * np.pi * self._walk_rate * active)[:, None]
        pelvis = self._start + self._walk * to_and_fro
        pelvis[:, 1] += 0.02 * np.cos(2.0 * phase)
        return PoseSequence(rotations, pelvis)

    def _active_time(self, times: Doubles) -> Doubles:
        """(T,) seconds in which the person has moved until each of the times."""
        active = times.copy()
        braking = 0.3
        for begin in self._halts:
            # Integral of a speed that falls to 0, or rises again, within `braking` seconds.
            for start, sign in ((begin, -1.0), (begin + self._halt_length, 1.0)):
                share = np.clip((times - start) / braking, 0.0, 1.0)
                gone = np.maximum(times - start - braking, 0.0)
                active += sign * (braking * (share**3 - share**4 / 2.0) + gone)
        return active


class _Swings:
    """Sums of sines of random frequencies in a band, the slower ones with larger amplitudes."""

    def __init__(
        self, rng: np.random.Generator, band: tuple[float, float], size: float, joints: int
    ) -> None:
        """Draw the sines; `band` in Hz, `size`: standard deviation about each axis, radians."""
        shape = (4, joints, 3)
        low, high = np.log(band)
        self._rate = np.exp(rng.uniform(low, high, shape))
        self._phase = rng.uniform(0.0, 2.0 * np.pi, shape)
        width = rng.normal(0.0, 1.0, shape) * np.sqrt(band[0] / self._rate)
        self._width = size * width / np.sqrt(0.5 * (width**2).sum(axis=0).mean())

    def __call__(self, times: Doubles) -> Doubles:
        """Return (T, joints, 3) rotation vectors at `times` (T,)."""
        angle = 2.0 * np.pi * self._rate * times[:, None, None, None] + self._phase
        swings: Doubles = (self._width * np.sin(angle)).sum(axis=1)
        return swings


def _minimum_jerk(share: Doubles) -> Doubles:
    """Position from 0 to 1 of a minimum-jerk motion (Flash and Hogan, J. Neuroscience 1985)."""
    share = np.clip(share, 0.0, 1.0)
    return np.asarray(share**3 * (10.0 - 15.0 * share + 6.0 * share**2))


def measure(
    truth: PoseSequence, times: Doubles, seed: int, outliers: float = 0.015
) -> PoseSequence:
    """Return noisy measurements of a true motion, as of an estimator of single images.

    The errors of rotations are 3 to 6 degrees (root mean square, different for each joint): half of
    the variance is white noise, half is correlated over 0.15 s. A share `outliers` of all rotations
    has an error of 30 to 90 degrees in one image. The standard deviation of the pelvis is 1 cm
    along each axis across the line of sight, and 3 % of the distance along it, half of this
    variance correlated over 0.3 s.
    """
    rng = np.random.default_rng([seed, 1])
    count = len(times)
    size = np.radians(rng.uniform(3.0, 6.0, (NUM_JOINTS, 1))) / np.sqrt(3.0)
    error = size * correlated_noise(rng, times, 0.15, (NUM_JOINTS, 3))
    outlier = rng.random((count, NUM_JOINTS)) < outliers
    axis = rng.normal(size=(count, NUM_JOINTS, 3))
    axis /= np.linalg.norm(axis, axis=2, keepdims=True)
    angle = np.radians(rng.uniform(30.0, 90.0, (count, NUM_JOINTS, 1)))
    error += np.where(outlier[..., None], angle * axis, 0.0)
    rotations = truth.rotations * Rotation.from_rotvec(error.reshape(-1, 3))
    pelvis = truth.pelvis.copy()
    pelvis[:, :2] += 0.01 * rng.normal(size=(count, 2))
    further = np.exp(0.03 * correlated_noise(rng, times, 0.3, (1,)))
    return PoseSequence(rotations, pelvis * further)


def correlated_noise(
    rng: np.random.Generator, times: Doubles, correlation: float, shape: tuple[int, ...]
) -> Doubles:
    """Return (T, ...) noise of unit variance: half is white, half correlated over some seconds."""
    white = rng.normal(size=(len(times), *shape))
    slow = rng.normal(size=(len(times), *shape))
    for n in range(1, len(times)):
        kept = np.exp(-(times[n] - times[n - 1]) / correlation)
        slow[n] = kept * slow[n - 1] + np.sqrt(1.0 - kept**2) * slow[n]
    return np.asarray(np.sqrt(0.5) * (white + slow))
