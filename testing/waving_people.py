# SPDX-License-Identifier: Apache-2.0
"""Stick figures that wave, or do something else with their arms."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from pear_ros.core.people import Array

RATE = 15.0
"""Images a second."""
STANDING = {0: (0, 0.1), 12: (0, -0.4), 16: (0.18, -0.35), 17: (-0.18, -0.35)}
LEFT, RIGHT = (16, 18, 20), (17, 19, 21)

Motion = Callable[[float], dict[int, tuple[float, float]]]
"""Places of some joints, metres in the plane of the chest, at a time in seconds."""


def arm(joints: tuple[int, int, int], upper: float, lower: float) -> dict[int, Any]:
    """Return shoulder, elbow and wrist of an arm.

    Angles are in the plane of the chest, 0 upwards, to the person's left, the image's right.
    """
    shoulder = np.array(STANDING[joints[0]])
    elbow = shoulder + 0.28 * np.array([math.sin(upper), -math.cos(upper)])
    wrist = elbow + 0.25 * np.array([math.sin(lower), -math.cos(lower)])
    return dict(zip(joints, (shoulder, elbow, wrist), strict=True))


def waves(hertz: float = 1.5, swing: float = 0.5, joints: Any = RIGHT) -> Motion:
    """An upper arm held aside, a forearm that swings."""
    aside = -1.7 if joints is RIGHT else 1.7

    def at(t: float) -> dict[int, Any]:
        return arm(joints, aside, swing * math.sin(2 * math.pi * hertz * t))

    return at


def waves_aside(t: float) -> dict[int, Any]:
    """Upwards at first, then at about 35 degrees."""
    return arm(LEFT, 1.7, min(0.6, 2 * t) + 0.35 * math.sin(9 * t))


def waves_slower(t: float) -> dict[int, Any]:
    """And then quickly again."""
    return waves(hertz=0.5 if 2.5 < t < 6.0 else 1.5)(t)


def waves_straight(t: float) -> dict[int, Any]:
    angle = 0.5 * math.sin(2 * math.pi * t)
    return arm(LEFT, angle, angle)


def raises_arm(t: float) -> dict[int, Any]:
    """Within a second from hanging down to straight up, there it stays, and trembles."""
    angle = math.pi * max(0.0, 1.0 - t) + 0.1 * math.sin(20 * t)
    return arm(LEFT, angle, angle)


def jumps(t: float) -> dict[int, Any]:
    """Jumping jacks: both arms up and down."""
    angle = math.pi * (0.5 + 0.5 * math.cos(2 * math.pi * t))
    return arm(LEFT, angle, angle) | arm(RIGHT, -angle, -angle)


def swings_below(t: float) -> dict[int, Any]:
    """As one who waves, with the hand hanging down."""
    return arm(RIGHT, math.pi, math.pi + 0.6 * math.sin(9 * t))


def conducts_low(t: float) -> dict[int, Any]:
    """The forearm upright and swinging, but the hand below the shoulder."""
    return arm(RIGHT, math.pi, 0.6 * math.sin(9 * t))


def dangles(t: float) -> dict[int, Any]:
    """From an elbow above the head the forearm hangs down, the hand still above the shoulder."""
    return arm(RIGHT, -0.2, math.pi + 0.6 * math.sin(9 * t))


def beats(t: float) -> dict[int, Any]:
    """Waves, but lets the hand down for a moment again and again."""
    return waves(hertz=2.5)(t) if t % 0.6 < 0.4 else {}


def walks(t: float) -> dict[int, Any]:
    angle = 0.3 * math.sin(2 * math.pi * t)
    return arm(LEFT, math.pi - angle, math.pi - angle) | arm(RIGHT, math.pi, math.pi + angle)


def glimpses(t: float) -> dict[int, Any]:
    """Waves, but is seen for two swings at a time only."""
    return (
        waves(hertz=2.0)(t)
        if t % 1.0 < 0.6
        else {20: (math.nan, math.nan), 21: (math.nan, math.nan)}
    )


def figure(motion: Motion, t: float, turn: Rotation, metres: float = 1.0) -> Array:
    """Return joints (55, 3) of a person who moves before the camera, 3 to 4 m away."""
    places = STANDING | arm(LEFT, math.pi, math.pi) | arm(RIGHT, math.pi, math.pi) | motion(t)
    joints = np.full((55, 3), np.nan)
    for joint, (x, y) in places.items():
        joints[joint] = turn.apply(metres * np.array([x, y, 0.0])) + np.array([t, 0.0, 4 - t / 4])
    return joints.astype(np.float32)
