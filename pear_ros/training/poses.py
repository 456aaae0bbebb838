# SPDX-License-Identifier: Apache-2.0
"""Random poses, from the ranges that human joints allow, by kind (standing, walking, sitting, ...).

They pose the people of whom pictures are rendered for training and for benchmarks.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.core.people import SMPLX_JOINT_NAMES

Random = np.random.Generator
Range = tuple[float, float]

# Upper arm elevation (-90 hanging, 0 horizontal) and direction (0 sideways, 90 forward), twist
# about the upper arm, elbow flexion; degrees.
ARMS: dict[str, tuple[Range, Range, Range, Range]] = {
    "down": ((-88, -60), (-20, 45), (-40, 40), (0, 50)),
    "side": ((-30, 30), (-25, 50), (-50, 50), (0, 60)),
    "front": ((-40, 50), (50, 110), (-45, 45), (0, 80)),
    "up": ((30, 88), (-20, 90), (-45, 45), (0, 70)),
    "hip": ((-62, -38), (-25, 15), (0, 50), (70, 110)),
    "folded": ((-75, -50), (20, 60), (-40, 40), (75, 130)),
    "any": ((-85, 85), (-35, 120), (-60, 60), (0, 120)),
}
# Hip flexion, abduction, twist about the thigh, knee flexion; degrees.
LEGS: dict[str, tuple[Range, Range, Range, Range]] = {
    "straight": ((-8, 12), (0, 12), (-15, 15), (0, 15)),
    "seated": ((70, 100), (0, 25), (-15, 15), (65, 110)),
    "crouched": ((50, 115), (0, 30), (-15, 15), (60, 135)),
    "front": ((25, 95), (0, 20), (-12, 12), (10, 110)),
    "back": ((-30, 20), (0, 15), (-12, 12), (0, 60)),
    "side": ((-15, 30), (5, 50), (-20, 20), (0, 60)),
    "any": ((-35, 115), (-10, 50), (-25, 25), (0, 130)),
    "stretched": ((70, 105), (0, 30), (-15, 15), (0, 40)),
    "crossed": ((75, 110), (20, 50), (25, 60), (90, 140)),
    "kneeling": ((-5, 40), (0, 20), (-15, 15), (80, 125)),
    "on heels": ((55, 95), (0, 20), (-10, 10), (125, 150)),
    "folded": ((30, 90), (0, 15), (-10, 10), (0, 45)),
}
# For each kind: choices for each arm, the two legs, forward bend of the spine in degrees.
KINDS: dict[str, tuple[tuple[str, ...], tuple[str, str], Range]] = {
    "standing": (("down", "down", "hip", "folded", "any"), ("straight", "straight"), (-6, 10)),
    "walking": (("down",), ("front", "back"), (-2, 10)),
    "sitting": (("down", "front", "folded", "any"), ("seated", "seated"), (-5, 25)),
    "arms up": (("up", "up", "side"), ("straight", "straight"), (-8, 8)),
    "reaching": (("front", "any", "up", "down"), ("straight", "side"), (-5, 45)),
    "crouching": (("front", "down", "any"), ("crouched", "crouched"), (0, 40)),
    "lunging": (("any", "side", "front", "down"), ("front", "back"), (-5, 20)),
    "balancing": (("side", "side", "any", "up"), ("straight", "side"), (-12, 12)),
    "anything": (("any",), ("any", "any"), (-15, 50)),
}
# Kinds that the benchmarks do not draw from.
RARE_KINDS: dict[str, tuple[tuple[str, ...], tuple[str, str], Range]] = {
    "carrying": (("front", "folded", "hip"), ("straight", "front"), (-10, 15)),
    "bending": (("any", "front", "down"), ("folded", "folded"), (10, 60)),
    "on the floor": (("down", "front", "hip", "any"), ("crossed", "stretched"), (-5, 40)),
    "cross-legged": (("down", "front", "folded", "any"), ("crossed", "crossed"), (-5, 30)),
    "kneeling": (("down", "front", "any"), ("kneeling", "on heels"), (-5, 35)),
    "on one knee": (("down", "front", "any"), ("kneeling", "seated"), (-5, 30)),
    "lying": (("down", "any", "up", "folded"), ("straight", "any"), (-10, 30)),
}
STRIDE = 30.0
"""Largest hip angle of a walking step, degrees."""

# Optical axes (x right, y down, z forward) from body axes (x left, y up, z out of the chest) of
# a person who faces the camera.
FACING_CAMERA = np.diag([1.0, -1.0, -1.0])


def sample_rotations(rng: Random, kind: str) -> npt.NDArray[np.float64]:
    """(55, 3, 3) local rotations of a pose of the given kind, the root upright and facing +z."""
    arm_choices, legs, bend_range = (KINDS | RARE_KINDS)[kind]
    rotations = np.tile(np.eye(3), (55, 1, 1))
    index = {name: number for number, name in enumerate(SMPLX_JOINT_NAMES)}
    bend = rng.uniform(*bend_range)
    twist, side_bend = rng.normal(0, 10), rng.normal(0, 6)
    for name in ("spine1", "spine2", "spine3"):
        share = np.array([bend, twist, side_bend]) / 3 + rng.normal(0, 3, 3)
        rotations[index[name]] = from_degrees(share)
    gaze = np.array([rng.normal(0, 10) - 0.2 * bend, rng.normal(0, 20), rng.normal(0, 8)])
    rotations[index["neck"]] = rotations[index["head"]] = from_degrees(gaze / 2)
    if rng.random() < 0.5:
        legs = legs[::-1]
    phase = rng.uniform(0, 2 * np.pi)
    for side, name, leg, step in zip((1, -1), ("left", "right"), legs, (0, np.pi), strict=True):
        arm = [rng.uniform(*r) for r in ARMS[str(rng.choice(arm_choices))]]
        limb = [rng.uniform(*r) for r in LEGS[leg]]
        swing = 0.0
        if kind == "walking":
            stride = STRIDE * rng.uniform(0.5, 1.2) * np.sin(phase + step)
            limb = [
                stride,
                rng.uniform(0, 6),
                rng.normal(0, 6),
                max(0.0, 30 * np.cos(phase + step)),
            ]
            swing = -stride
        _pose_arm(rng, rotations, index, side, name, arm, swing)
        _pose_leg(rng, rotations, index, side, name, limb)
        curl = rng.uniform(0, 60)
        for finger in ("index", "middle", "pinky", "ring"):
            for phalanx in (1, 2, 3):
                rotations[index[f"{name}_{finger}{phalanx}"]] = from_degrees([0, 0, -side * curl])
    lean = (30.0, 25.0) if kind == "anything" else (5.0, 4.0)
    rotations[0] = from_degrees([rng.normal(0, lean[0]), 0, rng.normal(0, lean[1])])
    return rotations


def _pose_arm(
    rng: Random,
    rotations: npt.NDArray[np.float64],
    index: dict[str, int],
    side: int,
    name: str,
    angles: list[float],
    swing: float,
) -> None:
    elevation, forward, twist, elbow = np.radians(angles)
    along = np.array([side, 0.0, 0.0])
    direction = np.array(
        [
            side * np.cos(elevation) * np.cos(forward),
            np.sin(elevation),
            np.cos(elevation) * np.sin(forward),
        ]
    )
    shoulder = _shortest_turn(along, direction) @ from_degrees(np.degrees(along * twist))
    rotations[index[f"{name}_shoulder"]] = from_degrees([-swing, 0, 0]) @ shoulder
    pronation = from_degrees([side * rng.normal(0, 25), 0, 0])
    rotations[index[f"{name}_elbow"]] = from_degrees([0, -side * np.degrees(elbow), 0]) @ pronation
    shrug = np.array([0.0, 0.0, side * max(0.0, angles[0]) * 0.15])
    rotations[index[f"{name}_collar"]] = from_degrees(rng.normal(0, (4, 6, 6)) + shrug)
    rotations[index[f"{name}_wrist"]] = from_degrees(rng.normal(0, (15, 12, 20)))


def _pose_leg(
    rng: Random,
    rotations: npt.NDArray[np.float64],
    index: dict[str, int],
    side: int,
    name: str,
    angles: list[float],
) -> None:
    flexion, abduction = np.radians(angles[:2])
    direction = np.array(
        [
            side * np.sin(abduction),
            -np.cos(abduction) * np.cos(flexion),
            np.cos(abduction) * np.sin(flexion),
        ]
    )
    hip = _shortest_turn(np.array([0.0, -1.0, 0.0]), direction)
    rotations[index[f"{name}_hip"]] = hip @ from_degrees([0, side * angles[2], 0])
    rotations[index[f"{name}_knee"]] = from_degrees([angles[3], 0, 0])
    rotations[index[f"{name}_ankle"]] = from_degrees(rng.normal(0, (14, 8, 7)))
    rotations[index[f"{name}_foot"]] = from_degrees([rng.normal(0, 6), 0, 0])


def from_degrees(degrees: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the rotation matrices (..., 3, 3) of axis-angle vectors (..., 3), degrees."""
    return np.asarray(Rotation.from_rotvec(np.asarray(degrees), degrees=True).as_matrix())


def _shortest_turn(
    start: npt.NDArray[np.float64], end: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    axis = np.cross(start, end)
    sine = float(np.linalg.norm(axis))
    angle = np.degrees(np.arctan2(sine, float(start @ end)))
    return from_degrees(axis / max(sine, 1e-9) * angle)
