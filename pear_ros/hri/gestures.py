# SPDX-License-Identifier: Apache-2.0
"""Gestures that one image shows: raised hands, crossed arms, pointing, thumbs up, hands on face.

Every function takes the joints (55, 3), metres, of one person and their confidence (55,), and
returns 1.0 for yes, 0.0 for no and NaN for unknown. Lengths are compared with those of the person's
own limbs, so that it does not matter whether depth is metric. Waving takes time: waving.py.
"""

from __future__ import annotations

import enum
import math
from typing import NamedTuple

import numpy as np

from pear_ros.core.people import Array
from pear_ros.hri.body_parts import (
    JOINT,
    LEVEL_CAMERA_UP,
    MIN_UPRIGHT,
    SIDES,
    Float64,
    angle,
    arm,
    distance,
    leftwards,
    observed,
    spine,
    unit,
)

_RAISED = 0.3
"""Least height of a raised hand above its shoulder, in lengths of the forearm."""
_UPWARDS = math.radians(50)
"""Greatest angle between the forearm of a raised hand and the spine."""
_AT_FACE = 0.9
"""Greatest distance of a hand on the face from the eyes' middle, in lengths of the forearm."""
_CROSSED = 1.15
"""Greatest distance of a wrist from the other arm's elbow while arms are crossed, likewise."""
_STRAIGHT_ARM = math.radians(40)
"""Greatest bend of the elbow of an arm that points."""
_LOWEST_POINTING, _HIGHEST_POINTING = math.radians(55), math.radians(160)
"""Angles between an arm that points and the direction from neck to pelvis."""
_STRAIGHT_FINGER, _CURLED_FINGER = math.radians(60), math.radians(110)
"""Bend of a finger from the back of the hand to its middle phalanx."""
_STRAIGHT_THUMB = math.radians(50)
_THUMB_UP = math.radians(40)
"""Greatest angle between a thumb that is up and the vertical."""
_OTHER_FINGERS = ("middle", "pinky", "ring")


class Gesture(enum.Enum):
    """What a person does with their arms and hands."""

    NONE = enum.auto()
    WAVING = enum.auto()
    LEFT_HAND_RAISED = enum.auto()
    RIGHT_HAND_RAISED = enum.auto()
    BOTH_HANDS_RAISED = enum.auto()
    HANDS_ON_FACE = enum.auto()
    ARMS_CROSSED = enum.auto()
    POINTING = enum.auto()
    THUMB_UP = enum.auto()


class Ray(NamedTuple):
    """Where a person points: through the hand, as seen from the eyes."""

    origin: Float64
    """(3,) the hand's place, metres."""
    direction: Float64
    """(3,) unit vector from the middle of the eyes through the hand."""


def gesture(
    joints: Array, confidence: Array, up: Float64 = LEVEL_CAMERA_UP, *, waves: bool = False
) -> Gesture:
    """Return the gesture of one person; the first of Gesture's that applies, NONE if none does.

    `joints` (55, 3) and `up` (3,) in one frame; `waves`: result of Waving.
    """
    if waves:
        return Gesture.WAVING
    if hands_on_face(joints, confidence) == 1.0:
        return Gesture.HANDS_ON_FACE
    if any(thumb_up(joints, confidence, side, up) == 1.0 for side in SIDES):
        return Gesture.THUMB_UP
    left, right = (hand_raised(joints, confidence, side, up) == 1.0 for side in SIDES)
    if left and right:
        return Gesture.BOTH_HANDS_RAISED
    if left:
        return Gesture.LEFT_HAND_RAISED
    if right:
        return Gesture.RIGHT_HAND_RAISED
    if arms_crossed(joints, confidence) == 1.0:
        return Gesture.ARMS_CROSSED
    return Gesture.NONE if pointing(joints, confidence) is None else Gesture.POINTING


def hand_raised(
    joints: Array, confidence: Array, side: str, up: Float64 = LEVEL_CAMERA_UP
) -> float:
    """Return whether an upright person holds the hand of `side` above the shoulder."""
    shoulder, elbow, wrist = arm(side)
    if not observed(joints, confidence, shoulder, elbow, wrist):
        return math.nan
    along = spine(joints)
    forearm = joints[wrist] - joints[elbow]
    above = (joints[wrist] - joints[shoulder]) @ along
    raised = above > _RAISED * np.linalg.norm(forearm) and angle(forearm, along) < _UPWARDS
    return float(raised and along @ up > MIN_UPRIGHT and not _at_face(joints, side))


def hands_on_face(joints: Array, confidence: Array) -> float:
    """Return whether both hands are on the face."""
    if not observed(joints, confidence, *arm("left"), *arm("right")):
        return math.nan
    return float(all(_at_face(joints, side) for side in SIDES))


def arms_crossed(joints: Array, confidence: Array) -> float:
    """Return whether the arms are crossed before the chest: each wrist near the other elbow."""
    arms = {side: arm(side) for side in SIDES}
    if not observed(joints, confidence, *arms["left"], *arms["right"]):
        return math.nan
    (_, left_elbow, left_wrist), (_, right_elbow, right_wrist) = arms.values()
    swapped = (joints[left_wrist] - joints[right_wrist]) @ leftwards(joints) < 0.0
    forearms = (
        distance(joints[left_elbow], joints[left_wrist]),
        distance(joints[right_elbow], joints[right_wrist]),
    )
    reach = _CROSSED * sum(forearms) / 2
    near = (
        distance(joints[left_wrist], joints[right_elbow]) < reach
        and distance(joints[right_wrist], joints[left_elbow]) < reach
    )
    return float(swapped and near)


def pointing(joints: Array, confidence: Array) -> Ray | None:
    """Return the ray along which a person points with one stretched arm; None if they do not.

    If the hand was read, its index finger has to be the straightest, with the others curled. The
    line from the eyes to the hand says better what people mean than the forearm (Nickel and
    Stiefelhagen, 2007).
    """
    stretched = [side for side in SIDES if _stretched(joints, confidence, side)]
    if len(stretched) != 1:
        return None
    side = stretched[0]
    if _points_with_index(joints, confidence, side) == 0.0:
        return None
    hand = joints[JOINT[f"{side}_index3"]].astype(np.float64)
    if not observed(joints, confidence, JOINT[f"{side}_index3"]):
        hand = joints[JOINT[f"{side}_wrist"]].astype(np.float64)
    return Ray(hand, unit(hand - _eyes(joints)))


def thumb_up(joints: Array, confidence: Array, side: str, up: Float64 = LEVEL_CAMERA_UP) -> float:
    """Return whether the thumb of a closed hand is straight and points upwards."""
    thumb = [JOINT[f"{side}_thumb{phalanx}"] for phalanx in (1, 2, 3)]
    if not observed(joints, confidence, *thumb, *_finger(side, "index")):
        return math.nan
    fingers = (_bend(joints, side, name) for name in ("index", *_OTHER_FINGERS))
    base, middle, end = joints[thumb]
    return float(
        all(bend > _CURLED_FINGER for bend in fingers)
        and angle(end - middle, up) < _THUMB_UP
        and angle(middle - base, end - middle) < _STRAIGHT_THUMB
        and (end - joints[JOINT[f"{side}_index1"]]) @ up > 0.0
    )


def _stretched(joints: Array, confidence: Array, side: str) -> bool:
    """Return whether an arm is straight, and neither hangs down nor is stretched upwards."""
    shoulder, elbow, wrist = arm(side)
    if not observed(joints, confidence, shoulder, elbow, wrist):
        return False
    upper, lower = joints[elbow] - joints[shoulder], joints[wrist] - joints[elbow]
    lowered = angle(joints[wrist] - joints[shoulder], -spine(joints))
    return angle(upper, lower) < _STRAIGHT_ARM and (_LOWEST_POINTING < lowered < _HIGHEST_POINTING)


def _points_with_index(joints: Array, confidence: Array, side: str) -> float:
    """Return whether the index finger is straight and the others are not; NaN: hand not read."""
    if not observed(joints, confidence, *_finger(side, "index")):
        return math.nan
    others = float(np.mean([_bend(joints, side, name) for name in _OTHER_FINGERS]))
    return float(_bend(joints, side, "index") < min(_STRAIGHT_FINGER, others))


def _bend(joints: Array, side: str, name: str) -> float:
    """Return the angle between the back of the hand and a finger's middle phalanx, radians."""
    knuckle, middle, end = joints[_finger(side, name)]
    return angle(knuckle - joints[JOINT[f"{side}_wrist"]], end - middle)


def _finger(side: str, name: str) -> list[int]:
    return [JOINT[f"{side}_{name}{phalanx}"] for phalanx in (1, 2, 3)]


def _eyes(joints: Array) -> Float64:
    middle: Float64 = joints[[JOINT["left_eye_smplhf"], JOINT["right_eye_smplhf"]]].mean(
        axis=0, dtype=np.float64
    )
    return middle


def _at_face(joints: Array, side: str) -> bool:
    _, elbow, wrist = arm(side)
    forearm = distance(joints[elbow], joints[wrist])
    return distance(joints[wrist], _eyes(joints)) < _AT_FACE * forearm
