# SPDX-License-Identifier: Apache-2.0
"""Postures of posed open bodies, and falls."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pear_ros.core.people import Array
from pear_ros.hri.body_parts import JOINT, LEVEL_CAMERA_UP
from pear_ros.hri.posture import Fall, Posture, pelvis_height, posture
from testing.acting_people import POSTURES, Actor

GIVEN = np.full(55, 0.8, np.float32)


def seen(name: str, seed: int) -> Array:
    """Joints of a person in this posture, turned anyhow."""
    rng = np.random.default_rng(seed)
    return POSTURES[name](rng).seen(rng.uniform(-3.0, 3.0))[1]


@pytest.mark.parametrize("name", POSTURES)
def test_posture_is_recognised(name: str) -> None:
    found = [posture(seen(name, seed), GIVEN).name for seed in range(200, 220)]
    assert found.count(name) >= 16


@pytest.mark.parametrize("name", POSTURES)
def test_posture_follows_the_vertical_of_a_tilted_camera(name: str) -> None:
    tilt = Rotation.from_euler("xz", [40, 20], degrees=True)
    joints, up = seen(name, 201), tilt.apply(LEVEL_CAMERA_UP)
    tilted = tilt.apply(joints).astype(np.float32)
    assert posture(tilted, GIVEN, up) is posture(joints, GIVEN)


def test_person_who_bends_forward_stands() -> None:
    actor = Actor(np.random.default_rng(0), "walking")
    actor.legs(0.0, 0.0)
    for name in ("spine1", "spine2", "spine3"):
        actor.rotations[JOINT[name]] = Rotation.from_rotvec([0.5, 0.0, 0.0]).as_matrix()
    assert posture(actor.seen(1.0)[1], GIVEN) is Posture.STANDING


@pytest.mark.parametrize(
    ("hidden", "sitting", "standing", "lying"),
    [
        (("ankle",), Posture.SITTING, Posture.STANDING, Posture.UNKNOWN),
        (("ankle", "knee"), Posture.UNKNOWN, Posture.UNKNOWN, Posture.UNKNOWN),
        (("hip", "knee", "ankle"), Posture.UNKNOWN, Posture.UNKNOWN, Posture.UNKNOWN),
    ],
)
def test_hidden_legs(
    hidden: tuple[str, ...], sitting: Posture, standing: Posture, lying: Posture
) -> None:
    confidence = GIVEN.copy()
    confidence[[JOINT[f"{side}_{part}"] for side in ("left", "right") for part in hidden]] = 0.1
    chair = Actor(np.random.default_rng(0), "sitting")
    chair.legs(90.0, 90.0)
    assert posture(chair.seen()[1], confidence) is sitting
    assert posture(seen("STANDING", 200), confidence) is standing
    assert posture(seen("LYING", 200), confidence) is lying


def test_unknown_joints_are_an_unknown_posture() -> None:
    assert posture(np.full((55, 3), np.nan, np.float32), GIVEN) is Posture.UNKNOWN


def test_height_above_the_floor() -> None:
    joints = np.zeros((55, 3), np.float32)
    joints[JOINT["pelvis"]] = (0.3, 0.1, 4.0)
    assert pelvis_height(joints, LEVEL_CAMERA_UP, -1.0) == pytest.approx(0.9)
    assert math.isnan(pelvis_height(joints, LEVEL_CAMERA_UP, math.nan))


def test_person_has_fallen_after_a_second_on_the_floor() -> None:
    fall = Fall()
    assert math.isnan(fall.update(0.0, Posture.UNKNOWN, 0.9))
    assert fall.update(0.1, Posture.STANDING, 0.9) == 0.0
    assert fall.update(0.5, Posture.LYING, 0.2) == 0.0
    assert fall.update(1.4, Posture.LYING, 0.2) == 0.0
    assert fall.update(1.6, Posture.LYING, 0.2) == 1.0
    assert fall.update(1.8, Posture.SITTING, 0.3) == 1.0
    assert fall.update(9.0, Posture.UNKNOWN, math.nan) == 1.0  # hidden: still
    assert fall.update(9.5, Posture.SITTING, 0.3) == 0.0


def test_lying_on_a_bed_or_without_a_floor_is_no_fall() -> None:
    bed, unknown = Fall(), Fall()
    for seconds in range(5):
        assert bed.update(float(seconds), Posture.LYING, 0.6) == 0.0
        assert math.isnan(unknown.update(float(seconds), Posture.LYING, math.nan))


def test_short_moments_do_not_count() -> None:
    fall = Fall()
    for tenths in range(40):
        lying = tenths % 5 != 0
        fallen = fall.update(tenths / 10, Posture.LYING if lying else Posture.SITTING, 0.2)
        assert fallen == 0.0
