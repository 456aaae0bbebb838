# SPDX-License-Identifier: Apache-2.0
"""The world of a recording: z up, the floor at z = 0.

From the camera's pose in a fixed frame where it is known. Else the camera is taken to stand still,
and the floor is fitted to the people: level planes, one for each person, through the soles on which
they stand, with robust errors (pseudo-Huber) and normal priors of their direction: people are
upright on average, and cameras do not roll. The world's floor is that of the person seen most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from pear_ros.core import quaternions
from pear_ros.hri.body_parts import LEVEL_CAMERA_UP
from pear_ros.motion.motion import Observations
from pear_ros.motion.skeleton import soles_of
from pear_ros.smoothing.soles import SOLE_JOINTS

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_NECK = 12
_MIN_SEEN = 0.3
"""Confidence of a joint from which on it was seen."""
_TRUNK_STD, _ROLL_STD, _PITCH_STD = np.radians([8.0, 4.0, 25.0])
"""Standard deviations of the mean trunk's direction, of the camera's roll and of its pitch."""
_SOLE_STD = 0.05
"""Error of a sole's height, metres."""
_DISTANCE_STD = 0.08
"""Relative error of a sole's distance."""
_CORRELATION_TIME = 0.5
"""Time over which errors of soles are correlated, seconds."""
_MIN_SOLES = 3
"""Least number of soles of a person to fit a plane to."""
_MAX_ERROR = 0.15
"""Median error of soles, metres, from which on one still camera is doubtful."""
_NEAR_LOWEST = 0.03
"""Soles this much above the lowest of an image stand on the floor, too, metres."""


@dataclass(frozen=True)
class World:
    """The pose of the camera in the world for each of F images."""

    rotation: Doubles
    """(F, 3, 3) the optical frame's axes in the world, or (1, 3, 3) for all; NaN: unknown."""
    translation: Doubles
    """(F, 3) or (1, 3) the camera's position, metres."""
    source: str
    """Where up and floor come from, a sentence."""
    warning: str | None = None
    """What is doubtful, a sentence."""

    def place(self, observations: Observations, images: npt.NDArray[np.int64]) -> Observations:
        """Return the `observations`, in the optical frame, in the world; `images` (T,): theirs."""
        rows = images if len(self.rotation) > 1 else np.zeros(len(images), np.int64)
        R, t = self.rotation[rows], self.translation[rows]
        known: Flags = np.asarray(np.isfinite(R).all(axis=(1, 2)))
        R, t = np.where(known[:, None, None], R, np.eye(3)), np.where(known[:, None], t, 0.0)
        turns = np.array([quaternions.from_matrix(one) for one in R])
        rotations = observations.rotations.copy()
        rotations[:, 0] = quaternions.product(turns, rotations[:, 0])
        pelvis = np.einsum("tij,tj->ti", R, observations.pelvis) + t
        return replace(
            observations,
            rotations=rotations,
            pelvis=pelvis,
            camera=t,
            seen=observations.seen & known,
        )


def fit_world(people: Sequence[Observations]) -> World:
    """Return the world of a camera that stands still, from `people` in its optical frame.

    Without feet, the floor is below the lowest joint. Its origin is on the floor below the camera,
    x is the horizontal direction in which the camera looks, y its left.
    """
    trunk = _mean_trunk(people)
    if trunk is None:
        return _world(LEVEL_CAMERA_UP, 0.0, "Up is the camera's own, as the people tell nothing")
    standing = [one for one in map(_standing, people) if len(one[0]) >= _MIN_SOLES]
    if not standing:
        joints = np.concatenate([_joints(one)[one.seen] for one in people]).reshape(-1, 3)
        height = float((-(joints @ LEVEL_CAMERA_UP)).max())
        text = "Up is the camera's own, and the floor below the lowest joint: no feet were seen"
        return _world(LEVEL_CAMERA_UP, height, text)
    up, height, error = _fit(standing, trunk)
    doubt = None
    if error > _MAX_ERROR:
        doubt = (
            f"the feet of a person are {error:.2f} m off one floor (median): if the camera moved, "
            "record /tf and choose its fixed frame by --frame"
        )
    text = "Up and floor are fitted to the people's feet and trunks, for a camera that stands still"
    return replace(_world(up, height, text), warning=doubt)


def _standing(one: Observations) -> tuple[Doubles, Doubles]:
    """Soles (N, 3) that stand on the floor, and their weights (N,): independent errors each."""
    soles = soles_of(one.rotations, _joints(one))
    confidence = one.confidence[:, SOLE_JOINTS]
    depth = np.where(confidence < _MIN_SEEN, -np.inf, soles[..., 1])
    lowest = depth.max(axis=1, keepdims=True)
    on = one.seen[:, None] & np.isfinite(depth) & (depth > lowest - _NEAR_LOWEST)
    step = np.clip(np.gradient(one.seconds) if len(one.seconds) > 1 else np.ones(1), 0.0, 1.0)
    share = np.minimum(step / _CORRELATION_TIME, 1.0) / np.maximum(on.sum(axis=1), 1)
    return soles[on], np.broadcast_to(share[:, None], on.shape)[on]


def _joints(one: Observations) -> Doubles:
    return one.skeleton.joints(one.rotations, one.pelvis)


def _mean_trunk(people: Sequence[Observations]) -> Doubles | None:
    """Median direction (3,) from pelvis to neck; None where nobody was seen."""
    trunks = []
    for one in people:
        joints = _joints(one)[one.seen]
        trunks.append(joints[:, _NECK] - joints[:, 0])
    trunk = np.concatenate(trunks) if trunks else np.empty((0, 3))
    if not len(trunk):
        return None
    middle = np.median(trunk / np.linalg.norm(trunk, axis=1, keepdims=True), axis=0)
    length = float(np.linalg.norm(middle))
    return np.asarray(middle / length) if length > 0.0 else None


def _fit(
    standing: Sequence[tuple[Doubles, Doubles]], trunk: Doubles
) -> tuple[Doubles, float, float]:
    """Direction up (3,), height of the camera above the floor, and the largest median error."""

    def cost(angles: Doubles) -> float:
        up = _up(angles)
        lean = ((up - trunk) ** 2).sum() / _TRUNK_STD**2
        camera = ((angles / (_PITCH_STD, _ROLL_STD)) ** 2).sum()
        return float(0.5 * (lean + camera)) + sum(_misfit(*one, up, trunk) for one in standing)

    up = _up(minimize(cost, np.zeros(2), method="Nelder-Mead").x)
    heights = [_height(*one, up) for one in standing]
    error = max(
        float(np.median(np.abs(one[0] @ up + height)))
        for one, height in zip(standing, heights, strict=True)
    )
    most = int(np.argmax([one[1].sum() for one in standing]))
    return up, heights[most], error


def _misfit(points: Doubles, weights: Doubles, up: Doubles, about_up: Doubles) -> float:
    """Robust cost of the soles (N, 3) of one person on a level plane."""
    # Errors of the distance count as far as they are upwards; by `up` itself, a steep view would
    # explain any error.
    std = np.hypot(_SOLE_STD, _DISTANCE_STD * (points @ about_up))
    off = (points @ up + _height(points, weights, up)) / std
    return float((weights * (np.sqrt(1.0 + off**2) - 1.0)).sum())


def _height(points: Doubles, weights: Doubles, up: Doubles) -> float:
    """Height of the camera above the soles: their weighted median."""
    heights = -(points @ up)
    order = heights.argsort()
    share = np.cumsum(weights[order])
    return float(heights[order[np.searchsorted(share, 0.5 * share[-1])]])


def _up(angles: Doubles) -> Doubles:
    """The camera's own up after a pitch about x and a roll about z, the first two of `angles`."""
    pitch, roll = angles[:2]
    level = np.cos(roll)
    return np.array([np.sin(roll), -level * np.cos(pitch), -level * np.sin(pitch)])


def _world(up: Doubles, height: float, source: str) -> World:
    """The world with its origin `height` metres below the camera, along `up` (3,)."""
    ahead = np.array([0.0, 0.0, 1.0]) - up[2] * up
    if np.linalg.norm(ahead) < 0.1:  # The camera looks straight down or up.
        ahead = -np.sign(up[2]) * (LEVEL_CAMERA_UP - (up @ LEVEL_CAMERA_UP) * up)
    ahead = ahead / np.linalg.norm(ahead)
    rotation = np.stack([ahead, np.cross(up, ahead), up])
    return World(rotation[None], np.array([[0.0, 0.0, height]]), source)
