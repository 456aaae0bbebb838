# SPDX-License-Identifier: Apache-2.0
"""Synthetic scenes of people who walk to and fro in front of a camera and occlude each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.body import load_open_body
from pear_ros.core.camera import Camera
from pear_ros.core.people import SMPLX_JOINT_NAMES, Array, Estimate, SmplxParams
from pear_ros.training.poses import FACING_CAMERA

Doubles = npt.NDArray[np.float64]

CAMERA = Camera.from_field_of_view(1280, 720, 70.0)
BODY = load_open_body()
DEPTHS = (3.0, 7.5)
"""Range of distances, metres; each person has a lane, so that people do not collide."""
SWAY = 0.3
"""Amplitude by which people leave their lanes, metres."""
PELVIS_BELOW_CAMERA = 0.3
"""Metres."""
MAX_OCCLUSION = 0.7
"""A person whose occluded share is larger is not detected."""
MISS_RATE = 0.05
"""Share of visible people who are not detected nevertheless."""
FALSE_ALARM_RATE = 0.03
"""Share of images with a false alarm."""

DEPTH_NOISE = 0.03
"""Standard deviation of the root's distance, as a share of it."""
ACROSS_NOISE = 0.015
"""Standard deviation of the root along each axis, metres."""
BETAS_NOISE = 0.6
"""Standard deviation of each shape coefficient."""
BOX_NOISE = 0.02
"""Standard deviation of each edge of a box, as a share of the box's height."""
_MARGIN = 0.06
"""Margin between joints and a box's edge, as a share of the longer side."""

_JOINT = {name: index for index, name in enumerate(SMPLX_JOINT_NAMES)}
_OUTLINE = [
    _JOINT[f"{side}_{part}"] for side in ("left", "right") for part in ("shoulder", "hip", "knee")
]
_NUM_BODY = 22


@dataclass(frozen=True)
class Frame:
    """One image of a scene."""

    stamp: float
    truth: dict[int, Array]
    """True box (4,), pixels, of each visible person by index."""
    estimates: list[Estimate]
    """Noisy estimates of the detected people."""
    false_alarms: list[Estimate]
    """Estimates of people who do not exist."""


def scene(people: int, seconds: float, rate: float, seed: int) -> list[Frame]:
    """Return the images of a scene of `people` for some `seconds`, `rate` per second."""
    rng = np.random.default_rng([seed, people])
    stamps = np.arange(0.0, seconds, 1.0 / rate, dtype=np.float64)
    betas = rng.normal(0.0, 1.0, (people, BODY.num_betas))
    lanes = rng.permutation(np.linspace(*DEPTHS, people)).tolist()
    joints = np.stack([_walk(rng, stamps, betas[n], lanes[n]) for n in range(people)], axis=1)
    keypoints = CAMERA.project(joints)
    boxes = boxes_around(keypoints)
    visible = _occluded_share(keypoints, joints[:, :, 0, 2]) <= MAX_OCCLUSION
    detected = visible & (rng.random(visible.shape) >= MISS_RATE)
    estimates = _estimates(rng, joints, betas)

    alarms = np.flatnonzero(rng.random(len(stamps)) < FALSE_ALARM_RATE)
    z = rng.uniform(*DEPTHS, len(alarms))
    x = rng.uniform(-0.9, 0.9, len(alarms)) * z * CAMERA.width / (2.0 * CAMERA.fx)
    places = np.column_stack([x, np.full(len(alarms), PELVIS_BELOW_CAMERA), z])
    templates = joints[alarms, rng.integers(people, size=len(alarms))]
    moved = templates - templates[:, :1] + places[:, None]
    random_betas = rng.normal(0.0, 1.0, (len(alarms), betas.shape[1]))
    false_alarms = dict(zip(alarms, _estimates(rng, moved, random_betas), strict=True))
    return [
        Frame(
            float(stamp),
            {int(n): boxes[t, n] for n in np.flatnonzero(visible[t])},
            [estimates[t * people + n] for n in np.flatnonzero(detected[t])],
            [false_alarms[t]] if t in false_alarms else [],
        )
        for t, stamp in enumerate(stamps)
    ]


def boxes_around(keypoints: Array) -> Array:
    """Return boxes (..., 4) with a margin around keypoints (..., J, 2), pixels."""
    low, high = keypoints.min(axis=-2), keypoints.max(axis=-2)
    margin = _MARGIN * (high - low).max(axis=-1, keepdims=True)
    return np.concatenate([low - margin, high + margin], axis=-1)


def _walk(rng: np.random.Generator, stamps: Doubles, betas: Doubles, depth: float) -> Doubles:
    """(T, 55, 3) joints of a person who walks to and fro at a depth (m), turns, and pauses."""
    half = 0.8 * depth * CAMERA.width / (2.0 * CAMERA.fx)
    step = 1.0 / 60.0
    times = np.arange(0.0, stamps[-1] + step, step)
    speed, direction = rng.uniform(0.6, 1.4), rng.choice([-1.0, 1.0])
    across = rng.uniform(-half, half)
    until, walking = rng.uniform(2.0, 6.0), True
    path = np.empty((len(times), 3))
    for n, time in enumerate(times):
        if time > until:
            walking = not walking or rng.random() < 0.5
            direction = direction if rng.random() < 0.6 else -direction
            until = time + (rng.uniform(2.0, 6.0) if walking else rng.uniform(0.5, 2.0))
        if abs(across) > half:
            direction = -np.sign(across)
        across += step * speed * direction * walking
        path[n] = across, direction, walking
    x = np.interp(stamps, times, path[:, 0])
    turned = np.interp(stamps, times, np.convolve(path[:, 1], np.ones(20) / 20, "same"))
    swing = np.interp(stamps, times, np.cumsum(path[:, 2]) * step) * speed * 2.0 * np.pi / 1.4
    phase = rng.uniform(0.0, 2.0 * np.pi)

    pose = np.zeros((len(stamps), 55, 3))
    heading = Rotation.from_euler("y", 90.0 * turned, degrees=True)
    pose[:, 0] = (Rotation.from_matrix(FACING_CAMERA) * heading).as_rotvec()
    for side, sign in (("left", 1.0), ("right", -1.0)):
        pose[:, _JOINT[f"{side}_hip"], 0] = 0.45 * sign * np.sin(swing + phase)
        pose[:, _JOINT[f"{side}_knee"], 0] = 0.3 + 0.3 * sign * np.cos(swing + phase)
        pose[:, _JOINT[f"{side}_shoulder"], 2] = -1.2 * sign
        pose[:, _JOINT[f"{side}_elbow"], 1] = -0.4 * sign * (1.0 + 0.5 * np.sin(swing + phase))
    count = len(stamps)
    joints = BODY.joints(
        pose.astype(np.float32),
        np.tile(betas, (count, 1)).astype(np.float32),
        np.zeros((count, BODY.num_expression), np.float32),
        np.zeros((count, 3), np.float32),
    )
    z = depth + SWAY * np.sin(0.5 * stamps + phase)
    root = np.column_stack([x, np.full(count, PELVIS_BELOW_CAMERA), z])
    return np.asarray(joints - joints[:, :1] + root[:, None], np.float64)


def _occluded_share(keypoints: Array, depth: Doubles) -> Doubles:
    """(..., N) share of each person's keypoints (..., N, J, 2) that are behind others' trunks."""
    points, trunk = keypoints[..., :_NUM_BODY, :], keypoints[..., _OUTLINE, 0]
    left, right = trunk.min(axis=-1), trunk.max(axis=-1)
    wide = 0.2 * (right - left)
    left, right = left - wide, right + wide
    top, bottom = points[..., 1].min(axis=-1), points[..., 1].max(axis=-1)
    x, y = points[..., :, None, :, 0], points[..., :, None, :, 1]
    behind = (x > left[..., None, :, None]) & (x < right[..., None, :, None])
    behind &= (y > top[..., None, :, None]) & (y < bottom[..., None, :, None])
    behind &= (depth[..., None, :] < depth[..., None])[..., None]
    return np.asarray(behind.any(axis=-2).mean(axis=-1), np.float64)


def _estimates(rng: np.random.Generator, joints: Doubles, betas: Doubles) -> list[Estimate]:
    """Noisy estimates of people with joints (..., 55, 3) and betas, in flattened order."""
    people = joints.shape[:-2]
    near = 1.0 + rng.normal(0.0, DEPTH_NOISE, (*people, 1))
    root = joints[..., 0, :] * near + rng.normal(0.0, ACROSS_NOISE, (*people, 3))
    measured = (joints - joints[..., :1, :] + root[..., None, :]).astype(np.float32)
    keypoints = CAMERA.project(measured)
    boxes = boxes_around(keypoints)
    height = boxes[..., 3:] - boxes[..., 1:2]
    boxes = (boxes + BOX_NOISE * height * rng.normal(size=boxes.shape)).astype(np.float32)
    shapes = betas + rng.normal(0.0, BETAS_NOISE, (*people, betas.shape[-1]))
    shapes, transl = shapes.astype(np.float32), root.astype(np.float32)
    pose, expression = np.zeros((55, 3), np.float32), np.zeros(BODY.num_expression, np.float32)
    confidence = np.ones(55, np.float32)
    return [
        Estimate(
            score=0.9,
            box=boxes[n],
            smplx=SmplxParams(pose, shapes[n], expression, transl[n]),
            joints=measured[n],
            joint_confidence=confidence,
            keypoints=keypoints[n],
        )
        for n in np.ndindex(*people)
    ]
