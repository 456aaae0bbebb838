# SPDX-License-Identifier: Apache-2.0
"""What the pose model is shown of neighbours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pear_ros.core.people import Image
from pear_ros.landmarks.neighbours import without_neighbours
from pear_ros.landmarks.pose import visible_box
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.topology import NUM_POSE, Pose
from pear_ros.landmarks.types import PoseLandmarks

WIDTH, HEIGHT = 640, 480
IMAGE: Image = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
_PLACES = {
    "SHOULDER": (40, 90),
    "ELBOW": (50, 150),
    "WRIST": (55, 200),
    "INDEX": (55, 220),
    "HIP": (25, 210),
    "KNEE": (25, 300),
    "ANKLE": (25, 390),
    "FOOT_INDEX": (30, 400),
}


def standing(x: float) -> PoseLandmarks:
    """A person of 400 pixels with the middle at `x`."""
    points = np.zeros((NUM_POSE, 3), np.float32)
    points[:, :2] = x, 40
    for name, (aside, y) in _PLACES.items():
        points[Pose[f"LEFT_{name}"], :2] = x + aside, y
        points[Pose[f"RIGHT_{name}"], :2] = x - aside, y
    ones = np.ones(NUM_POSE, np.float32)
    return PoseLandmarks(points, points, ones, ones, 1.0, Roi(x, 220.0, 500.0))


def test_neighbours_are_black_and_the_person_is_not() -> None:
    own, other = standing(300.0), standing(410.0)
    shown = without_neighbours(IMAGE, visible_box(own), own, [other])
    assert (shown[150, 410] == 0).all(), "the neighbour's trunk"
    assert (shown[40, 410] == 0).all(), "and head"
    assert (shown[150, 300] == 200).all(), "the own trunk"
    assert (shown[200, 355] == 200).all(), "the own hand, in front of the neighbour"
    assert (shown[430, 560] == 200).all(), "and what is nobody's"
    assert (IMAGE == 200).all(), "the image itself is unchanged"


def test_neighbours_of_a_new_person_are_black_wherever_they_are() -> None:
    own, other = standing(300.0), standing(330.0)
    shown = without_neighbours(IMAGE, visible_box(own), None, [other])
    assert (shown[150, 320] == 0).all()


def test_people_elsewhere_change_nothing() -> None:
    own = standing(100.0)
    assert without_neighbours(IMAGE, visible_box(own), own, [standing(500.0)]) is IMAGE
    assert without_neighbours(IMAGE, visible_box(own), own, []) is IMAGE


def test_two_readings_of_one_person_hide_nothing_of_each_other() -> None:
    own = standing(300.0)
    assert (without_neighbours(IMAGE, visible_box(own), own, [own]) == IMAGE).all()


coordinates = st.one_of(st.floats(-1e7, 1e7, width=32), st.just(float("nan")))


@given(coordinates, coordinates, st.floats(0, 1e7), st.sampled_from([1, 7, 480]))
def test_any_landmarks_are_accepted(x: float, y: float, size: float, height: int) -> None:
    image: Image = np.full((height, WIDTH, 3), 200, np.uint8)
    own = standing(300.0)
    points = own.image.copy()
    points[:20, :2] = x, y
    other = replace(own, image=points, roi=Roi(300.0, 220.0, size))
    shown = without_neighbours(image, visible_box(own), own, [other])
    assert shown.shape == image.shape
