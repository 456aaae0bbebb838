# SPDX-License-Identifier: Apache-2.0
"""Gestures of posed open bodies."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pear_ros.core.people import Array
from pear_ros.hri.body_parts import JOINT, SIDES, arm
from pear_ros.hri.gestures import (
    Gesture,
    arms_crossed,
    gesture,
    hand_raised,
    hands_on_face,
    pointing,
    thumb_up,
)
from testing.acting_people import GESTURES, Actor

GIVEN = np.full(55, 0.8, np.float32)
SEEDS = range(200, 215)


def seen(name: str, seed: int) -> Array:
    """Joints of a person who makes this gesture, turned by up to a radian."""
    rng = np.random.default_rng(seed)
    return GESTURES[name](rng).seen(rng.uniform(-1.0, 1.0))[1]


@pytest.mark.parametrize("name", GESTURES)
def test_gesture_is_recognised(name: str) -> None:
    found = [gesture(seen(name, seed), GIVEN).name for seed in SEEDS]
    assert found.count(name) >= 12  # of 15: random poses reach into each other
    assert gesture(0.2 * seen(name, 200), GIVEN) == gesture(seen(name, 200), GIVEN)


def test_confidences_that_are_not_given_count_as_high() -> None:
    joints = seen("BOTH_HANDS_RAISED", 200)
    assert gesture(joints, np.full(55, np.nan, np.float32)) is Gesture.BOTH_HANDS_RAISED


def test_waving_comes_first() -> None:
    assert gesture(seen("RIGHT_HAND_RAISED", 200), GIVEN, waves=True) is Gesture.WAVING


@pytest.mark.parametrize("unknown", ["nan", "low confidence"])
def test_what_is_not_observed_is_unknown(unknown: str) -> None:
    joints, confidence = seen("BOTH_HANDS_RAISED", 200), GIVEN.copy()
    hidden = list(arm("left"))
    if unknown == "nan":
        joints[hidden] = np.nan
    else:
        confidence[hidden] = 0.1
    assert math.isnan(hand_raised(joints, confidence, "left"))
    assert hand_raised(joints, confidence, "right") == 1.0
    assert gesture(joints, confidence) is Gesture.RIGHT_HAND_RAISED
    assert math.isnan(arms_crossed(joints, confidence))
    assert math.isnan(hands_on_face(joints, confidence))
    assert gesture(np.full((55, 3), np.nan), GIVEN) is Gesture.NONE


def test_thumb_of_a_hand_that_was_not_read_is_unknown() -> None:
    joints, confidence = seen("THUMB_UP", 200), GIVEN.copy()
    confidence[25:] = 0.0
    assert all(math.isnan(thumb_up(joints, confidence, side)) for side in SIDES)


def test_thumb_is_up_as_the_world_is() -> None:
    joints = seen("THUMB_UP", 200)
    sideways = np.array([1.0, 0.0, 0.0])
    assert any(thumb_up(joints, GIVEN, side) == 1.0 for side in SIDES)
    assert not any(thumb_up(joints, GIVEN, side, sideways) == 1.0 for side in SIDES)


def test_pointing_ray_goes_from_the_eyes_through_the_hand() -> None:
    actor = Actor(np.random.default_rng(3), "walking")
    actor.stretch("left", [0.3, 0.1, 1.0])
    actor.curl("left", 75)
    actor.curl("left", 0, "index")
    joints = actor.seen()[1]
    ray = pointing(joints, GIVEN)
    assert ray is not None
    np.testing.assert_allclose(ray.origin, joints[JOINT["left_index3"]], atol=1e-6)
    eyes = joints[[JOINT["left_eye_smplhf"], JOINT["right_eye_smplhf"]]].mean(axis=0)
    np.testing.assert_allclose(np.cross(ray.direction, ray.origin - eyes), 0.0, atol=1e-6)
    assert ray.direction @ (ray.origin - eyes) > 0.0
    assert np.linalg.norm(ray.direction) == pytest.approx(1.0)
    low = GIVEN.copy()
    low[25:] = 0.0  # the hand was not read: the wrist takes its place
    without_hand = pointing(joints, low)
    assert without_hand is not None
    np.testing.assert_allclose(without_hand.origin, joints[JOINT["left_wrist"]], atol=1e-6)


def test_open_hands_and_two_arms_do_not_point() -> None:
    actor = Actor(np.random.default_rng(3), "walking")
    actor.stretch("left", [0.3, 0.1, 1.0])
    actor.curl("left", 0)
    actor.curl("left", 15, "index")
    assert pointing(actor.seen()[1], GIVEN) is None
    actor.stretch("right", [-0.3, 0.1, 1.0])
    low = GIVEN.copy()
    low[25:] = 0.0
    assert pointing(actor.seen()[1], low) is None


def test_raised_hands_of_a_lying_person_are_none() -> None:
    actor = GESTURES["BOTH_HANDS_RAISED"](np.random.default_rng(1))
    actor.lie_down(0.0)
    assert gesture(actor.seen()[1], GIVEN) is Gesture.NONE
