# SPDX-License-Identifier: Apache-2.0
"""Posture of the whole body, and falls.

Only the directions of limbs and their lengths relative to each other are used, except for falls,
which need the height above the floor in metres.
"""

from __future__ import annotations

import enum
import math

import numpy as np

from pear_ros.core.people import Array
from pear_ros.hri.body_parts import (
    JOINT,
    LEVEL_CAMERA_UP,
    SIDES,
    Float64,
    angle,
    observed,
    spine,
)
from pear_ros.hri.joint_angles import BODY_JOINTS

_HORIZONTAL = math.cos(math.radians(60))
"""Cosine between spine and vertical below which a trunk is horizontal."""
_STANDING = 0.8
"""Height of the hips above the ankles from which on legs are stretched, in lengths of the leg."""
_UPRIGHT_THIGH = math.radians(50)
"""Greatest angle between downwards and the thigh of a person who kneels or stands."""
_SQUATTING = 0.15
"""Least height of the hips above the ankles of a person who squats, in lengths of the leg: lower,
they sit on the floor."""
_BALANCED = 0.35
"""Greatest horizontal distance between the feet and the middle of a body that they carry, in
lengths of the thigh."""
_LOW_METRES = 0.45
"""Height of the pelvis above the floor below which a lying person lies on the floor: less than that
of beds and seats."""
_FALLEN_SECONDS = 1.0
"""Time for which a person lies on the floor, or no longer, before they count as fallen, or not."""


class Posture(enum.Enum):
    """Posture of the body."""

    UNKNOWN = enum.auto()
    STANDING = enum.auto()
    """Standing or walking, also while bending forward."""
    SITTING = enum.auto()
    """On a seat, or on the floor."""
    CROUCHING = enum.auto()
    """Squatting or kneeling."""
    LYING = enum.auto()


def posture(joints: Array, confidence: Array, up: Float64 = LEVEL_CAMERA_UP) -> Posture:
    """Return the posture of one person.

    `joints` (55, 3) and the unit vector `up` (3,) in one frame, `confidence` (55,) of the joints.
    UNKNOWN if too little is observed: one thigh at least for an upright trunk.
    """
    if not observed(joints, confidence, JOINT["pelvis"], JOINT["neck"]):
        return Posture.UNKNOWN
    upright = float(spine(joints) @ up)
    legs = [leg for side in SIDES if observed(joints, confidence, *(leg := _leg(side)))]
    if not legs:
        return _without_feet(joints, confidence, upright, up)
    hips, knees, ankles = (joints[[leg[part] for leg in legs]] for part in range(3))
    thigh = np.linalg.norm(hips - knees, axis=1)
    length = thigh + np.linalg.norm(knees - ankles, axis=1)
    height = (((hips - ankles) @ up) / length).max()
    if height > _STANDING:
        return Posture.STANDING
    if any(angle(down, -up) < _UPRIGHT_THIGH for down in knees - hips):
        return Posture.CROUCHING
    if upright < _HORIZONTAL:
        return Posture.LYING
    squats = height > _SQUATTING and _over_feet(joints, up) < _BALANCED * thigh.mean()
    return Posture.CROUCHING if squats else Posture.SITTING


def pelvis_height(joints: Array, up: Float64, floor: float) -> float:
    """Return the height of the pelvis above the floor, metres.

    `joints` (55, 3), metric; `floor`: component of the floor's points along the unit vector `up`
    (3,). NaN if one of them is unknown.
    """
    return float(joints[JOINT["pelvis"]] @ up - floor)


class Fall:
    """Whether the person of one track lies on the floor; begins anew with each track.

    One camera image cannot tell whether a person fell or lay down: both lie on the floor.
    """

    def __init__(self) -> None:
        """Begin with a person of whom nothing is known."""
        self._fallen = math.nan
        self._since: float | None = None  # stamp from which on images say otherwise

    def update(self, seconds: float, seen: Posture, height: float) -> float:
        """Add an image of the stamp `seconds`; return 1.0 if the person has fallen, 0.0 if not.

        `seen`: the posture; `height` of the pelvis above the floor, metres, for example from
        pelvis_height. NaN until posture and height were known once; an unknown one changes nothing.
        """
        if seen is Posture.UNKNOWN or math.isnan(height):
            return self._fallen
        now = float(seen is Posture.LYING and height < _LOW_METRES)
        if math.isnan(self._fallen):
            self._fallen = 0.0
        if now == self._fallen:
            self._since = None
        elif self._since is None or seconds < self._since:
            self._since = seconds
        elif seconds - self._since >= _FALLEN_SECONDS:
            self._fallen, self._since = now, None
        return self._fallen


def _leg(side: str) -> tuple[int, int, int]:
    return JOINT[f"{side}_hip"], JOINT[f"{side}_knee"], JOINT[f"{side}_ankle"]


def _over_feet(joints: Array, up: Float64) -> float:
    """Return the horizontal distance between the middles of body and feet, metres."""
    feet = [JOINT[f"{side}_{part}"] for side in SIDES for part in ("ankle", "foot")]
    offset = joints[feet].mean(axis=0) - joints[:BODY_JOINTS].mean(axis=0)
    return float(np.linalg.norm(offset - (offset @ up) * up))


def _without_feet(joints: Array, confidence: Array, upright: float, up: Float64) -> Posture:
    """Return the posture of a person whose feet are not observed, by trunk and thighs."""
    legs = [leg for side in SIDES if observed(joints, confidence, *(leg := _leg(side))[:2])]
    if upright < _HORIZONTAL or not legs:
        return Posture.UNKNOWN
    bends = [angle(joints[knee] - joints[hip], -up) for hip, knee, _ in legs]
    return Posture.SITTING if min(bends) > _UPRIGHT_THIGH else Posture.STANDING
