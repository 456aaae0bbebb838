# SPDX-License-Identifier: Apache-2.0
"""Landmarks of detected people: regions, frames, agreement, and what is believed."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pear_ros.core.people import Array, Image
from pear_ros.landmarks.detected_pose import (
    LENGTHS,
    MAX_DISAGREEMENTS,
    MIN_AGREEMENT,
    PoseDetection,
    agreement,
    follow_pose,
    framed,
    head_scale,
    read_pose,
    roi_of_length,
    squeezed,
)
from pear_ros.landmarks.roi import FramedRoi, Roi
from pear_ros.landmarks.topology import NUM_POSE, Pose
from pear_ros.landmarks.types import PoseLandmarks

WIDTH, HEIGHT = 640, 480
IMAGE = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)

corners = st.tuples(
    st.floats(-300, WIDTH + 300),
    st.floats(-300, HEIGHT + 300),
    st.floats(0, 900),
    st.floats(0, 900),
)
_FACE = Pose.MOUTH_RIGHT + 1
boxes = corners.map(lambda c: np.array([c[0], c[1], c[0] + c[2], c[1] + c[3]], np.float32))


def box_of(*edges: float) -> Array:
    return np.array(edges, np.float32)


def pose_in(box: Array, presence: float = 1.0, roi: Roi | None = None) -> PoseLandmarks:
    """Landmarks of a face at the top of a box and of a body on its diagonal."""
    points = np.empty((NUM_POSE, 2))
    points[:_FACE] = (box[0] + box[2]) / 2, box[1]
    points[_FACE:] = box[:2] + np.linspace(0.0, 1.0, NUM_POSE - _FACE)[:, None] * (
        box[2:] - box[:2]
    )
    image = np.column_stack([points, np.zeros(NUM_POSE)]).astype(np.float32)
    probabilities = np.full(NUM_POSE, presence, np.float32)
    region = roi or Roi.from_box(box, 1.25)
    return PoseLandmarks(image, image, probabilities, probabilities, 1.0, region)


@given(boxes, st.floats(1.0, 3.0))
def test_region_hangs_from_the_top_of_the_box(box: Array, length: float) -> None:
    roi = roi_of_length(box, length)
    x0, y0, x1, y1 = box
    whole = length * (y1 - y0)
    assert roi.x == pytest.approx((x0 + x1) / 2, abs=0.1)
    assert roi.y - roi.size / 2 <= y0 + 0.1
    assert roi.y + roi.size / 2 >= y0 + whole - 0.1
    assert roi.size >= max(1.0, x1 - x0)


@given(boxes)
def test_frame_lies_inside_the_image_and_holds_the_box(box: Array) -> None:
    x0, y0, x1, y1 = framed(Roi(10.0, 10.0, 50.0), box, IMAGE).frame
    assert 0 <= x0 < x1 <= WIDTH
    assert 0 <= y0 < y1 <= HEIGHT
    inside = np.clip(box, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
    if (inside[2:] - inside[:2]).min() > 1.0:
        assert x0 <= inside[0] and y0 <= inside[1] and x1 >= inside[2] and y1 >= inside[3]


@given(st.floats(-200, 800), st.floats(-200, 700), st.floats(20, 900), st.floats(-3, 3))
def test_crop_of_a_framed_region_is_that_of_the_image_with_all_else_black(
    x: float, y: float, size: float, angle: float
) -> None:
    rng = np.random.default_rng(0)
    image: Image = cv2.resize(rng.integers(0, 256, (12, 16, 3), np.uint8), (WIDTH, HEIGHT))
    frame = (100, 50, 400, 330)
    black = np.zeros_like(image)
    black[50:330, 100:400] = image[50:330, 100:400]
    crop = FramedRoi(x, y, size, angle, frame).crop(image, 64)
    expected = Roi(x, y, size, angle).crop(black, 64, cv2.BORDER_CONSTANT)
    assert np.abs(crop.astype(int) - expected).mean() < 1.0


@given(boxes, boxes)
def test_agreement_is_a_share(first: Array, second: Array) -> None:
    assert 0.0 <= agreement(pose_in(first), second, IMAGE) <= 1.0


def test_agreement_is_high_only_where_visible_landmarks_fill_the_box() -> None:
    box = box_of(100, 100, 300, 400)
    inner = pose_in(box_of(120, 130, 280, 370))
    assert agreement(inner, box, IMAGE) > 0.8
    assert agreement(pose_in(box_of(320, 130, 480, 370)), box, IMAGE) < 0.1, "of a neighbour"
    assert agreement(pose_in(box_of(120, 130, 280, 220)), box, IMAGE) < MIN_AGREEMENT, "squeezed"
    assert agreement(pose_in(box, presence=0.2), box, IMAGE) == 0.0, "none is visible"


def test_landmarks_without_any_score_are_not_believed() -> None:
    box = box_of(100, 100, 300, 400)
    assert read_pose(IMAGE, box, lambda *_: pose_in(box)).believed
    assert not read_pose(IMAGE, box, lambda *_: replace(pose_in(box), score=0.03)).believed


def test_agreement_ignores_landmarks_outside_the_image() -> None:
    box = box_of(100, 200, 300, HEIGHT)
    partly_outside = pose_in(box)
    partly_outside.image[-4:, 0] += 500.0
    assert agreement(partly_outside, box, IMAGE) > 0.6


def test_read_pose_tries_a_longer_body_until_landmarks_fill_the_box() -> None:
    box = box_of(100, 100, 300, 400)
    looks: list[Roi] = []

    def detect(image: Image, roi: Roi) -> PoseLandmarks:
        looks.append(roi)
        long = roi_of_length(box, LENGTHS[1]).size
        right = roi.size >= 0.9 * long
        return pose_in(box if right else box_of(150, 100, 200, 200), roi=roi)

    read = read_pose(IMAGE, box, detect)
    assert read.believed
    assert len(looks) == 4, "two for each length"
    assert all(isinstance(roi, FramedRoi) for roi in looks)
    looks.clear()
    assert not read_pose(IMAGE, box, detect, LENGTHS[:1]).believed
    assert len(looks) == 2


def person_of(
    body: float, scale: float = 300.0, x: float = 320.0, y: float = 100.0
) -> PoseLandmarks:
    """Landmarks of a person upright, with a head of `scale` pixels per metre and a body of `body`
    times that; x and y are those of the nose."""
    at = np.zeros((NUM_POSE, 2), np.float32)
    for name, place in {
        "LEFT_EYE": (0.03, -0.03),
        "LEFT_EYE_OUTER": (0.042, -0.03),
        "LEFT_EAR": (0.06, -0.02),
        "MOUTH_LEFT": (0.02, 0.033),
        "LEFT_SHOULDER": (0.18 * body, 0.2),
        "LEFT_HIP": (0.1 * body, 0.2 + 0.5 * body),
    }.items():
        at[Pose[name]] = place
        at[Pose[name.replace("LEFT", "RIGHT")]] = (-place[0], place[1])
    image = np.concatenate([at * scale + (x, y), np.zeros((NUM_POSE, 1))], axis=1)
    ones = np.ones(NUM_POSE, np.float32)
    return PoseLandmarks(image.astype(np.float32), image, ones, ones, 1.0, Roi(x, y, 500.0))


@given(st.floats(5.0, 3000.0), st.floats(-100.0, 900.0))
def test_a_body_too_small_for_its_head_is_squeezed(scale: float, x: float) -> None:
    assert squeezed(person_of(0.4, scale, x))
    assert not squeezed(person_of(0.8, scale, x))
    assert not squeezed(person_of(1.2, scale, x))


def test_head_scale_is_that_of_the_head() -> None:
    assert head_scale(person_of(0.4, 250.0)) == pytest.approx(250.0, rel=0.01)


def test_squeezed_bodies_get_a_region_as_long_as_the_head_says() -> None:
    """Half of the image's height is the head and the shoulders of a close-up."""
    box = box_of(100, 0, 540, HEIGHT)
    scale = 1000.0
    looked: list[Roi] = []

    def detect(image: Image, roi: Roi) -> PoseLandmarks:
        looked.append(roi)
        return person_of(1.0 if roi.size > 1.25 * 1.6 * scale else 0.3, scale, y=150.0)

    read = read_pose(IMAGE, box, detect)
    assert read.believed and not squeezed(read.pose)
    assert looked[-1].size == pytest.approx(1.25 * 1.75 * scale, rel=0.02)
    # Where the longer region shows nothing better, the first landmarks are kept.
    read = read_pose(IMAGE, box, lambda image, roi: person_of(0.3, scale, y=150.0))
    assert squeezed(read.pose)


def test_a_refined_pose_is_not_taken_if_it_is_squeezed() -> None:
    box = box_of(100, 0, 540, HEIGHT)
    read = read_pose(
        IMAGE,
        box,
        lambda image, roi: person_of(1.0, 1000.0, y=150.0),
        refine=lambda image, roi: person_of(0.3, 1000.0, y=150.0),
    )
    assert not squeezed(read.pose)


def test_the_trunk_counts_up_to_the_edge_of_the_image() -> None:
    """A face and shoulders whose hips lie outside: the chest between them fills the box."""
    close = person_of(1.0, 1200.0, y=200.0)
    assert agreement(close, box_of(100, 0, 540, HEIGHT), IMAGE) > 0.6


def test_refined_landmarks_are_taken_unless_only_the_first_are_believed() -> None:
    box = box_of(100, 100, 300, 400)
    good, better, wrong = (pose_in(box), pose_in(box), pose_in(box_of(0, 0, 50, 50)))

    def read(first: PoseLandmarks, second: PoseLandmarks) -> PoseLandmarks:
        return read_pose(IMAGE, box, lambda *_: first, refine=lambda *_: second).pose

    assert read(good, better) is better
    assert read(good, wrong) is good
    assert read(wrong, good) is good


NEIGHBOUR = box_of(260, 100, 360, 400)


def following(box: Array) -> tuple[list[Roi], PoseDetection]:
    """Return the regions looked at, and a model that sees a person in a box and the neighbour."""
    looks: list[Roi] = []

    def detect(image: Image, roi: Roi) -> PoseLandmarks:
        looks.append(roi)
        return pose_in(box if abs(roi.x - 150) < 40 else NEIGHBOUR, roi=replace(roi))

    return looks, detect


def known_at(x: float) -> PoseLandmarks:
    """Landmarks in the image before, whose region is around `x`."""
    return pose_in(box_of(x - 50, 100, x + 50, 400), roi=Roi(x, 250, 400))


@pytest.mark.parametrize(
    "detected",
    [(100, 100, 200, 400), (100, 100, 200, 220), (80, 60, 260, 430), (130, 90, 230, 380)],
)
def test_landmarks_that_follow_a_person_are_believed_where_the_box_overlaps_them(
    detected: tuple[float, ...],
) -> None:
    """The box may be of a part of the person, or an image old."""
    box = box_of(100, 100, 200, 400)
    looks, detect = following(box)
    followed = follow_pose(IMAGE, box_of(*detected), known_at(150), detect)
    assert followed is not None and followed.disagreements == 0
    assert len(looks) == 1
    assert np.array_equal(followed.pose.image[_FACE, :2], box[:2])


def test_landmarks_that_moved_to_a_neighbour_are_reset_by_one_fresh_look() -> None:
    box = box_of(100, 100, 200, 400)
    looks, detect = following(box)
    read = follow_pose(IMAGE, box, known_at(310), detect)
    assert read is not None and read.believed and read.disagreements == 0
    assert len(looks) == 2
    assert np.array_equal(read.pose.image[_FACE, :2], box[:2])


def test_landmarks_elsewhere_are_kept_for_a_few_detections_only() -> None:
    """Where the person whom the detector has seen cannot be read."""
    _, detect = following(box_of(100, 100, 150, 150))
    box = box_of(100, 100, 200, 400)
    kept = 0
    while followed := follow_pose(IMAGE, box, known_at(310), detect, kept):
        kept = followed.disagreements
        assert np.array_equal(followed.pose.image[_FACE, :2], NEIGHBOUR[:2])
    assert kept == MAX_DISAGREEMENTS


def test_landmarks_of_low_score_are_followed_nowhere() -> None:
    box = box_of(100, 100, 200, 400)
    detect: PoseDetection = lambda *_: replace(pose_in(box), score=0.05)  # noqa: E731
    assert follow_pose(IMAGE, box, known_at(150), detect) is None
