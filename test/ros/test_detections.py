# SPDX-License-Identifier: Apache-2.0
"""vision_msgs detections as boxes of people."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("vision_msgs", reason="needs the messages of vision_msgs")

from hypothesis import given
from hypothesis import strategies as st
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)

from pear_ros.ros.conversion.detections import people_in


def box(x: float, y: float, width: float, height: float, theta: float = 0.0) -> BoundingBox2D:
    # Humble's messages refuse an integer for a float.
    made = BoundingBox2D(size_x=float(width), size_y=float(height))
    centre = made.center
    centre.position.x, centre.position.y, centre.theta = float(x), float(y), float(theta)
    return made


def detection(where: BoundingBox2D, **scores: float) -> Detection2D:
    results = [
        ObjectHypothesisWithPose(hypothesis=ObjectHypothesis(class_id=name, score=score))
        for name, score in scores.items()
    ]
    return Detection2D(bbox=where, results=results)


def people(*detections: Detection2D, classes: str = "person", least: float = 0.3) -> list[float]:
    """Left edges of those who are taken, in their order."""
    message = Detection2DArray(detections=detections)
    return [float(found.box[0]) for found in people_in(message, classes, least).people]


HERE = box(50, 60, 20, 40)


def test_box_and_score() -> None:
    message = Detection2DArray(detections=[detection(HERE, person=0.75)])
    (found,) = people_in(message, "person", 0).people
    np.testing.assert_array_equal(found.box, np.float32([40, 40, 60, 80]))
    assert (found.box.dtype, found.score) == (np.float32, 0.75)


def test_only_people_who_are_certain_enough_the_best_first() -> None:
    doubtful, dog = detection(HERE, person=0.2), detection(HERE, dog=0.9)
    good, better = detection(box(15, 0, 10, 20), person=0.5), detection(HERE, person=0.6)
    assert people(doubtful, dog, good, better) == [40.0, 10.0]


@pytest.mark.parametrize(
    ("classes", "taken"), [("person", 0), ("0", 1), (" 1, 0 ", 1), ("", 1), ("10", 0)]
)
def test_classes_are_the_users(classes: str, taken: int) -> None:
    assert len(people(detection(HERE, **{"0": 0.9}), classes=classes)) == taken


def test_of_several_hypotheses_the_persons_counts() -> None:
    message = Detection2DArray(detections=[detection(HERE, dog=0.9, person=0.5)])
    assert people_in(message, "person", 0.3).people[0].score == 0.5


def test_without_hypothesis_the_score_is_not_known() -> None:
    bare = detection(HERE)
    assert people(bare) == []
    (found,) = people_in(Detection2DArray(detections=[bare]), "", 0.3).people
    assert math.isnan(found.score)


def test_a_turned_box_is_held_by_an_upright_one() -> None:
    assert people(detection(box(50, 60, 20, 40, math.pi / 2), person=1.0)) == [pytest.approx(30.0)]


@pytest.mark.parametrize("class_id", ["person", "Person", " PERSON", "people", "Pedestrian"])
def test_common_names_of_a_person_are_accepted(class_id: str) -> None:
    assert len(people(detection(HERE, **{class_id: 0.9}))) == 1
    assert people(detection(HERE, **{class_id: 0.9}), classes="dog") == []


def test_what_is_not_taken_is_described() -> None:
    strange = detection(HERE, **{"0": 0.9}), detection(HERE, dog=0.4)
    found = people_in(Detection2DArray(detections=strange), "person", 0.3)
    assert found.none_accepted and (found.boxes, found.classes) == (2, ("0", "dog"))
    assert found.best_score == 0.9
    bare = people_in(Detection2DArray(detections=[detection(HERE)]), "person", 0.3)
    assert bare.none_accepted and bare.classes == () and math.isnan(bare.best_score)
    unsure = people_in(Detection2DArray(detections=[detection(HERE, person=0.0)]), "person", 0.3)
    assert unsure.none_accepted and (unsure.classes, unsure.best_score) == (("person",), 0.0)
    assert not people_in(Detection2DArray(), "person", 0.3).none_accepted


@pytest.mark.parametrize(
    ("where", "says"),
    [
        (box(320, 180, 100, 300), ""),
        (box(10, 350, 100, 60), ""),
        (box(320, 400, 100, 200), "to x 370, y 500"),
        (box(320, 380, 100, 20), "y 390"),
        (box(0.5, 0.5, 0.2, 0.8), "parts of the image, not pixels"),
    ],
)
def test_boxes_of_another_image_size_miss_the_image(where: BoundingBox2D, says: str) -> None:
    message = Detection2DArray(detections=[detection(where, person=0.9)])
    reason = people_in(message, "person", 0.3).misses(640, 360)
    assert says in reason and bool(says) == bool(reason)


@pytest.mark.parametrize("size", [1e39, 3e38, 1e300, 2e7])
def test_boxes_that_float32_cannot_use_are_left_out(size: float) -> None:
    good = detection(HERE, person=0.9)
    assert people(detection(box(0, 0, size, size), person=0.9), good) == [40.0]
    assert people(detection(box(size, 0, 5, 5), person=0.9), good) == [40.0]


def test_a_flood_of_detections_is_cut_off() -> None:
    assert len(people(*[detection(HERE, person=0.9)] * 1500)) == 1000


@given(st.lists(st.floats(width=64), min_size=5, max_size=5), st.floats())
def test_whatever_a_detector_sends(numbers: list[float], score: float) -> None:
    message = Detection2DArray(detections=[detection(box(*numbers), person=score)])
    found = people_in(message, "person", 0.3)
    for one in found.people:
        assert (one.box[:2] <= one.box[2:]).all()
        assert (np.abs(one.box) <= 1e6).all()
    found.misses(640, 480)
