# SPDX-License-Identifier: Apache-2.0
"""NanoDet: its file, letterbox, decoding, suppression, and what it finds in pictures."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pear_ros.core.boxes import iou_matrix
from pear_ros.core.people import Array, Image
from pear_ros.detection import nanodet
from pear_ros.detection.nanodet import (
    MIN_SCORE,
    MIN_SIZE,
    MODEL_FILE,
    MODEL_SHA256,
    Candidates,
    Letterbox,
    NanoDet,
    averaged,
    cells,
    decoded,
    suppressed,
)
from pear_ros.io.downloads import AssetError, demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.training.studio import SyntheticStudio

NUM_CHANNELS = 80 + 4 * 11
DOG = 16
CONFIDENT = 0.5
"""A score that a distant sign in the clip never reaches."""

# Boxes in frame 100 of the demo clip, read off by eye.
MAN = (590, 70, 710, 465)
WOMAN = (905, 520, 1145, 935)


@pytest.fixture(scope="module")
def frames() -> tuple[Image, Image]:
    """Two frames of the demo clip, 1768 x 994 pixels.

    Number 100: a man on a roof, a woman below him. The last one: nobody.
    """
    images = [np.asarray(image) for _, image in FrameSource(str(demo_clip()))]
    return images[100], images[-1]


@pytest.fixture(scope="module")
def frame(frames: tuple[Image, Image]) -> Image:
    return frames[0]


@pytest.fixture(scope="module")
def detector() -> NanoDet:
    return NanoDet()


def boxes_of(*boxes: tuple[float, ...]) -> Array:
    return np.array(boxes, np.float32).reshape(-1, 4)


def candidates(*rows: tuple[tuple[float, ...], float, float]) -> Candidates:
    """Candidates of (box, score of a person, score of another class)."""
    boxes, person, other = zip(*rows, strict=True)
    return Candidates(boxes_of(*boxes), np.array(person, np.float32), np.array(other, np.float32))


# --- the file --------------------------------------------------------------------------------


def test_shipped_file_is_the_one_that_was_measured() -> None:
    assert hashlib.sha256(MODEL_FILE.read_bytes()).hexdigest() == MODEL_SHA256


@pytest.mark.parametrize(("content", "state"), [(None, "missing"), (b"TFL3", "damaged")])
def test_file_that_cannot_be_used_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, state: str
) -> None:
    monkeypatch.setattr(nanodet, "MODEL_FILE", tmp_path / "nanodet_g.tflite")
    if content:
        nanodet.MODEL_FILE.write_bytes(content)
    with pytest.raises(AssetError, match=f"nanodet_g.tflite.* is {state}: install pear_ros again"):
        NanoDet()


# --- letterbox -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ((640, 640), (416, 416)),
        ((640, 480), (416, 320)),
        ((480, 640), (320, 416)),
        ((1280, 720), (576, 320)),
        ((720, 1280), (320, 576)),
        ((1, 4000), (32, 576)),
    ],
)
def test_input_has_the_shape_of_the_images(
    image: tuple[int, int], expected: tuple[int, int]
) -> None:
    letterbox = Letterbox.of(*image)
    assert (letterbox.width, letterbox.height) == expected


@given(
    st.integers(1, 3000), st.integers(1, 3000), st.lists(st.floats(0, 1), min_size=4, max_size=4)
)
def test_boxes_come_back_from_the_letterbox(
    width: int, height: int, fractions: list[float]
) -> None:
    letterbox = Letterbox.of(width, height)
    assert width * letterbox.scale <= letterbox.width + 1e-6
    assert height * letterbox.scale <= letterbox.height + 1e-6
    box = boxes_of(tuple(np.multiply(sorted(fractions), [width, height, width, height])))
    box = np.sort(box.reshape(2, 2), axis=0).reshape(1, 4)
    np.testing.assert_allclose(
        letterbox.to_image(box * np.float32(letterbox.scale)), box, rtol=1e-5, atol=1e-3
    )


def test_boxes_are_clipped_to_the_image() -> None:
    letterbox = Letterbox.of(640, 480)
    (box,) = letterbox.to_image(boxes_of((-50, -50, 1000, 1000)))
    assert box.tolist() == [0, 0, 640, 480]


def test_letterbox_scales_evenly_from_the_top_left() -> None:
    image = np.full((300, 300, 3), 255, np.uint8)
    padded = Letterbox(416, 320, 300, 300).apply(image)
    assert padded.shape == (320, 416, 3)
    assert (padded[:, :320] == 255).all() and not padded[:, 320:].any()


# --- decoding --------------------------------------------------------------------------------


def outputs_with(cell: int, label: int, score: float, distances: tuple[int, ...]) -> list[Array]:
    """Maps for a 64 x 32 input where one cell has an object, whose edges are whole strides away."""
    flat = np.full((8 * 4 + 4 * 2 + 2 * 1, NUM_CHANNELS), -9.0, np.float32)
    flat[cell, label] = np.log(score / (1.0 - score))
    for edge, distance in enumerate(distances):
        flat[cell, 80 + 11 * edge + distance] = 20.0
    return np.split(flat, [32, 40])


def test_decoded_box_reaches_from_the_centre_of_its_cell() -> None:
    # Cell (1, 2) of the grid of stride 16, with its centre at (40, 24).
    found = decoded(outputs_with(32 + 4 + 2, 0, 0.7, (1, 0, 2, 1)), *cells(64, 32))
    np.testing.assert_allclose(found.boxes, [[24, 24, 72, 40]], atol=1e-3)
    np.testing.assert_allclose(found.person, [0.7], atol=1e-6)
    assert found.other[0] < 0.01


def test_distance_is_the_mean_of_its_distribution() -> None:
    outputs = outputs_with(0, 0, 0.9, (0, 0, 3, 3))
    outputs[0][0, 80 + 22 + 4] = 20.0  # As likely as 3.
    found = decoded(outputs, *cells(64, 32))
    np.testing.assert_allclose(found.boxes, [[4, 4, 4 + 3.5 * 8, 4 + 3 * 8]], atol=1e-3)


def test_cells_below_the_least_score_are_dropped() -> None:
    assert not len(
        decoded(outputs_with(3, 0, MIN_SCORE - 0.01, (1, 1, 1, 1)), *cells(64, 32)).boxes
    )
    dog = decoded(outputs_with(3, DOG, 0.8, (1, 1, 1, 1)), *cells(64, 32))
    assert dog.other[0] == pytest.approx(0.8) and dog.person[0] < 0.01


# --- suppression -----------------------------------------------------------------------------


def test_best_box_of_each_person_is_kept() -> None:
    left, again, right = (0, 0, 100, 200), (5, 0, 105, 200), (90, 0, 190, 200)
    boxes, scores = suppressed(candidates((again, 0.5, 0), (left, 0.8, 0), (right, 0.6, 0)))
    assert boxes.tolist() == [list(left), list(right)]
    np.testing.assert_allclose(scores, [0.8, 0.6])


def test_box_of_another_class_with_a_higher_score_suppresses_a_person() -> None:
    dog = (0, 0, 100, 100)
    assert not len(suppressed(candidates((dog, 0.4, 0), ((2, 2, 98, 98), 0, 0.7)))[0])
    assert not len(suppressed(candidates((dog, 0.4, 0.7)))[0])
    assert len(suppressed(candidates((dog, 0.8, 0), ((2, 2, 98, 98), 0, 0.7)))[0]) == 1


def test_person_with_an_object_stays() -> None:
    boxes, _ = suppressed(candidates(((0, 0, 100, 300), 0.4, 0), ((20, 100, 80, 160), 0, 0.9)))
    assert len(boxes) == 1


def test_nothing_is_suppressed_to_nothing() -> None:
    empty = Candidates(np.empty((0, 4), np.float32), np.empty(0), np.empty(0))
    boxes, scores = suppressed(empty)
    assert boxes.shape == (0, 4) and scores.shape == (0,)


# --- pictures --------------------------------------------------------------------------------


def test_people_of_the_demo_clip_are_found(frame: Image, detector: NanoDet) -> None:
    found = [one for one in detector(frame) if one.score >= CONFIDENT]
    boxes = np.array([one.box for one in found])
    assert len(boxes) == 2
    assert (iou_matrix(boxes_of(MAN, WOMAN), boxes).max(axis=1) > 0.7).all()
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_people_are_found_in_images_of_any_shape(frame: Image, detector: NanoDet) -> None:
    """One network after the other, and the first one again."""
    x, y = 700, 500
    for width, height in ((600, 494), (494, 494), (1068, 494), (600, 494)):
        image = np.ascontiguousarray(frame[y : y + height, x : x + width])
        woman = boxes_of(WOMAN) - np.array([x, y, x, y], np.float32)
        woman = np.clip(woman, 0, [width, height, width, height]).astype(np.float32)
        best = detector(image)[0]
        assert iou_matrix(woman, best.box[None])[0, 0] > 0.6, (width, height)


def test_results_do_not_depend_on_the_number_of_threads(frame: Image, detector: NanoDet) -> None:
    one, two = detector(frame), NanoDet(num_threads=2)(frame)
    np.testing.assert_array_equal([d.box for d in one], [d.box for d in two])
    assert [d.score for d in one] == [d.score for d in two]


def test_pictures_without_people_have_none(frames: tuple[Image, Image], detector: NanoDet) -> None:
    random = np.random.default_rng(1)
    noise = random.integers(0, 256, (480, 640, 3), np.uint8)
    pictures = [np.zeros((480, 640, 3), np.uint8), noise, cv2.blur(noise, (41, 41)), frames[1]]
    for _ in range(8):
        side = int(random.integers(300, 900))
        x, y = (int(random.integers(extent - side)) for extent in (1768, 994))
        pictures.append(np.ascontiguousarray(frames[1][y : y + side, x : x + side]))
    for image in pictures:
        assert not [one for one in detector(np.asarray(image)) if one.score >= CONFIDENT]


def test_rendered_people_are_found(detector: NanoDet) -> None:
    random, studio = np.random.default_rng(2), SyntheticStudio()
    for kind in ("standing", "walking", "sitting"):
        person = studio.shoot(random, kind, yaw=30.0)
        points = person.camera.project(person.vertices)
        box = np.concatenate([points.min(axis=0), points.max(axis=0)]).clip(0, 480)
        best = detector(person.image)[0]
        assert iou_matrix(box[None], best.box[None])[0, 0] > 0.6, kind


def test_tiny_people_are_left_out(frame: Image, detector: NanoDet) -> None:
    tiny = cv2.resize(frame, (88, 50), interpolation=cv2.INTER_AREA)
    assert all((one.box[2:] - one.box[:2]).max() >= MIN_SIZE for one in detector(np.asarray(tiny)))


# --- several passes over a single image -----------------------------------------------------------


def test_scores_of_passes_are_averaged_and_boxes_weighted_by_them() -> None:
    nothing = boxes_of(), np.zeros(0, np.float32)
    first = boxes_of((0, 0, 100, 200), (300, 0, 400, 200)), np.array([0.8, 0.4], np.float32)
    second = boxes_of((8, 0, 108, 200)), np.array([0.4], np.float32)
    boxes, scores = averaged([first, nothing, second, nothing])
    np.testing.assert_allclose(scores, [0.3, 0.1], atol=1e-6)
    np.testing.assert_allclose(boxes[0], [8 / 3, 0, 100 + 8 / 3, 200], rtol=1e-5)
    np.testing.assert_array_equal(boxes[1], [300, 0, 400, 200])
    assert [len(one) for one in averaged([nothing] * 4)] == [0, 0]


def test_mirrored_single_image_has_the_same_people(frame: Image, detector: NanoDet) -> None:
    found = detector.detect_still(frame)
    mirrored = detector.detect_still(np.ascontiguousarray(frame[:, ::-1]))
    assert [d.score for d in found] == pytest.approx([d.score for d in mirrored], abs=1e-5)
    width = frame.shape[1]
    for one, other in zip(found, mirrored, strict=True):
        expected = [width - other.box[2], other.box[1], width - other.box[0], other.box[3]]
        np.testing.assert_allclose(one.box, expected, atol=0.05)
    best = boxes_of(*(one.box for one in found[:2]))
    assert (iou_matrix(boxes_of(MAN, WOMAN), best).max(axis=1) > 0.6).all()
