# SPDX-License-Identifier: Apache-2.0
"""Landmarks, on frames of the demo clip: a man waves on a roof, a woman walks by below him."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pear_ros.core.boxes import same_person
from pear_ros.core.people import Array, Image
from pear_ros.detection.blazepose import (
    PersonDetector,
    Proposal,
    window_of_turn,
)
from pear_ros.io.downloads import AssetError, demo_clip, landmark_model
from pear_ros.landmarks.holistic import RETRY_INTERVAL, SMALL, HolisticLandmarks
from pear_ros.landmarks.pose import ROI_SCALE, person_box, roi_from_box
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.tflite_model import TfliteModel, pruned
from pear_ros.landmarks.topology import NUM_FACE, NUM_HAND, NUM_POSE, Hand, Pose
from pear_ros.landmarks.types import PersonLandmarks, PoseLandmarks

FRAMES = (10, 40, 60, 100, 140, 141, 172)

# Boxes around the people, read off the frames by eye.
MAN = {
    10: (485, 65, 825, 465),
    40: (585, 85, 735, 455),
    60: (515, 45, 730, 465),
    100: (590, 70, 710, 465),
}
WOMAN = {
    60: (1265, 545, 1510, 945),
    100: (905, 520, 1145, 935),
    140: (505, 510, 735, 945),
    172: (145, 525, 425, 955),
}
MARGIN = 20
"""Tolerance between annotations by eye and landmarks, pixels."""


@pytest.fixture(scope="module")
def frames() -> dict[int, Image]:
    clip = cv2.VideoCapture(str(demo_clip()))
    pictures: dict[int, Image] = {}
    for index in range(max(FRAMES) + 1):
        assert clip.grab()
        if index in FRAMES:
            _, picture = clip.retrieve()
            pictures[index] = np.asarray(picture, np.uint8)
    return pictures


@pytest.fixture(scope="module")
def detector() -> PersonDetector:
    return PersonDetector(num_threads=2)


@pytest.fixture(scope="module")
def landmarks() -> Iterator[HolisticLandmarks]:
    models = HolisticLandmarks(threads=2)
    yield models
    models.close()


def _find(landmarks: HolisticLandmarks, image: Image, box: tuple[int, ...]) -> PersonLandmarks:
    (person,) = landmarks(image, [roi_from_box(np.array(box, np.float32))])
    assert person is not None
    return person


def _all_people(detector: PersonDetector, image: Image) -> list[Proposal]:
    height, width = image.shape[:2]
    return detector.detect(image, detector.windows(width, height))


def _mean_distance(a: Array, b: Array) -> float:
    return float(np.linalg.norm(a - b, axis=1).mean())


# --- regions ---------------------------------------------------------------------------------

rois = st.builds(
    Roi,
    x=st.floats(-500, 2500),
    y=st.floats(-500, 2500),
    size=st.floats(20, 2000),
    angle=st.floats(-math.pi, math.pi),
)
points = st.lists(
    st.tuples(st.floats(-1000, 3000), st.floats(-1000, 3000)), min_size=1, max_size=20
).map(lambda rows: np.array(rows, np.float32))


def _to_crop(roi: Roi, image_points: Array, pixels: int) -> Array:
    """The inverse of Roi.uncrop, the other way: by axes."""
    offset = image_points - np.array([roi.x, roi.y])
    axes = np.array(
        [
            [math.cos(roi.angle), math.sin(roi.angle)],
            [-math.sin(roi.angle), math.cos(roi.angle)],
        ]
    )
    crop: Array = (offset @ axes.T / roi.size + 0.5) * pixels
    return crop


@given(rois, points, st.sampled_from([192, 224, 256]))
def test_uncrop_inverts_crop(roi: Roi, image_points: Array, pixels: int) -> None:
    crop = _to_crop(roi, image_points, pixels)
    assert np.allclose(roi.uncrop(crop, pixels), image_points, atol=0.05)


@given(points, st.floats(-math.pi, math.pi), st.floats(1, 3))
def test_roi_around_points_contains_them(image_points: Array, angle: float, scale: float) -> None:
    roi = Roi.around(image_points, angle, scale)
    offset = _to_crop(Roi(roi.x, roi.y, 1.0, angle), image_points, 1) - 0.5
    assert np.abs(offset).max() <= roi.size / 2.0 + 0.01


@given(rois)
def test_roi_of_a_circle_has_its_top(roi: Roi) -> None:
    centre = np.array([roi.x, roi.y])
    top = roi.uncrop(np.array([[0.5, 0.0]]), 1)[0]
    again = Roi.from_centre_and_top(centre, top)
    assert again.size == pytest.approx(roi.size, rel=1e-3)
    assert math.cos(again.angle - roi.angle) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("angle", [0.0, 0.7, -2.0, math.pi / 2])
def test_crop_shows_a_spot_where_it_is_in_the_image(angle: float) -> None:
    image = np.zeros((400, 500, 3), np.uint8)
    cv2.circle(image, (230, 160), 6, (255, 255, 255), -1)
    roi = Roi(250.0, 180.0, 150.0, angle)
    crop = roi.crop(image, 256)
    rows, columns = np.nonzero(crop[..., 0] > 127)
    found = roi.uncrop(np.array([[columns.mean(), rows.mean()]], np.float32), 256)
    assert np.allclose(found, [[230.0, 160.0]], atol=0.5)


def test_uncrop_scales_depth() -> None:
    roi = Roi(100.0, 100.0, 512.0, 1.0)
    assert roi.uncrop(np.array([[128.0, 128.0, -10.0]]), 256)[0, 2] == pytest.approx(-20.0)
    assert np.allclose(
        Roi(0.0, 0.0, 1.0, math.pi / 2).unrotate(np.array([[1.0, 0.0, 3.0]], np.float32)),
        [[0.0, 1.0, 3.0]],
        atol=1e-6,
    )


# --- detector --------------------------------------------------------------------------------


@given(st.integers(1, 32_000), st.integers(1, 32_000))
def test_windows_are_few_whatever_the_proportions(width: int, height: int) -> None:
    windows = PersonDetector.windows(width, height)
    assert len(windows) <= 200
    assert min(window.size for window in windows) > 0.0


@given(st.integers(64, 4000), st.integers(64, 4000))
def test_windows_of_each_size_cover_the_image(width: int, height: int) -> None:
    windows = PersonDetector.windows(width, height)
    corners = np.array([[0, 0], [width, 0], [0, height], [width, height], [width / 2, height / 2]])
    assert windows[0].size == max(width, height)
    assert min(window.size for window in windows) >= min(160.0, min(width, height))
    for size in {window.size for window in windows}:
        centres = np.array([(window.x, window.y) for window in windows if window.size == size])
        distances = np.abs(corners[:, np.newaxis] - centres).max(axis=2)
        assert (distances.min(axis=1) <= size / 2.0 + 0.01).all()


def test_window_of_turn_visits_all_windows_and_large_ones_more_often() -> None:
    windows = PersonDetector.windows(1768, 994)
    visits = [window_of_turn(windows, turn) for turn in range(4 * len(windows))]
    assert set(visits) == set(windows)
    assert visits.count(windows[0]) > visits.count(windows[-1])


@pytest.mark.parametrize(("frame", "boxes"), [(60, 2), (100, 2), (10, 1)])
def test_detector_finds_every_person_once(
    frames: dict[int, Image],
    detector: PersonDetector,
    landmarks: HolisticLandmarks,
    frame: int,
    boxes: int,
) -> None:
    proposals = _all_people(detector, frames[frame])
    people = landmarks(frames[frame], [proposal.roi for proposal in proposals])
    noses = [person.pose.image[Pose.NOSE, :2] for person in people if person is not None]
    expected = [box for box in (MAN.get(frame), WOMAN.get(frame)) if box is not None]
    assert len(noses) == len(expected) == boxes
    for x0, y0, x1, y1 in expected:
        assert sum(x0 < x < x1 and y0 < y < y1 for x, y in noses) == 1


def test_detector_and_pose_model_find_no_person_in_empty_images(
    frames: dict[int, Image], detector: PersonDetector, landmarks: HolisticLandmarks
) -> None:
    grey = np.full((480, 640, 3), 127, np.uint8)
    noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)
    assert _all_people(detector, grey) == []
    assert _all_people(detector, noise) == []
    trees = np.ascontiguousarray(frames[10][:, 900:])
    proposals = _all_people(detector, trees)
    assert [p for p in landmarks(trees, [d.roi for d in proposals]) if p is not None] == []


def test_proposal_and_its_landmarks_are_the_same_person(
    frames: dict[int, Image], detector: PersonDetector, landmarks: HolisticLandmarks
) -> None:
    proposals = _all_people(detector, frames[60])
    people = landmarks(frames[60], [proposal.roi for proposal in proposals])
    for i, proposal in enumerate(proposals):
        for j, person in enumerate(people):
            assert person is not None
            assert same_person(proposal.box, person_box(person.pose.roi)) == (i == j)


# --- body ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame", "box"),
    [(10, MAN[10]), (60, MAN[60]), (60, WOMAN[60]), (100, WOMAN[100]), (140, WOMAN[140])],
)
def test_body_landmarks_lie_on_the_person(
    frames: dict[int, Image], landmarks: HolisticLandmarks, frame: int, box: tuple[int, ...]
) -> None:
    pose = _find(landmarks, frames[frame], box).pose
    x0, y0, x1, y1 = box
    x, y, _ = pose.image.T
    assert x0 - MARGIN < x.min() and x.max() < x1 + MARGIN
    assert y0 - MARGIN < y.min() and y.max() < y1 + MARGIN
    assert y[Pose.NOSE] < y[Pose.LEFT_HIP] < y[Pose.LEFT_ANKLE]
    assert np.abs(pose.world[[Pose.LEFT_HIP, Pose.RIGHT_HIP]].mean(axis=0)).max() < 0.05
    assert 1.2 < np.ptp(pose.world[:, 1]) < 2.0
    for probability in (pose.visibility, pose.presence):
        assert probability.shape == (NUM_POSE,)
        assert ((probability >= 0.0) & (probability <= 1.0)).all()
    assert pose.image.dtype == pose.world.dtype == pose.visibility.dtype == np.float32


def test_pose_of_a_mirrored_person_has_left_and_right_exchanged(
    frames: dict[int, Image], landmarks: HolisticLandmarks
) -> None:
    image = frames[10]
    width = image.shape[1]
    x0, y0, x1, y1 = MAN[10]
    person = _find(landmarks, image, (x0, y0, x1, y1))
    mirrored = _find(
        landmarks, np.ascontiguousarray(image[:, ::-1]), (width - x1, y0, width - x0, y1)
    )
    exchange = [_other_side(landmark) for landmark in Pose]
    back = mirrored.pose.image[exchange]
    back[:, 0] = width - 1 - back[:, 0]
    assert _mean_distance(back[:, :2], person.pose.image[:, :2]) < 0.02 * (y1 - y0)
    world = mirrored.pose.world[exchange] * np.array([-1, 1, 1], np.float32)
    assert _mean_distance(world, person.pose.world) < 0.1
    # He faces the camera: his left is on the image's right.
    shoulders = person.pose.image[[Pose.LEFT_SHOULDER, Pose.RIGHT_SHOULDER], 0]
    assert shoulders[0] > shoulders[1] + 50
    assert person.pose.world[Pose.NOSE, 2] < 0.0


def _other_side(landmark: Pose) -> Pose:
    name = landmark.name
    if "LEFT" in name:
        return Pose[name.replace("LEFT", "RIGHT")]
    return Pose[name.replace("RIGHT", "LEFT")]


def test_pose_rotates_with_the_image(
    frames: dict[int, Image], landmarks: HolisticLandmarks
) -> None:
    image = frames[60]
    upright = Roi(630.0, 270.0, 560.0)
    turned = Roi(image.shape[0] - 1 - upright.y, upright.x, upright.size, math.pi / 2)
    (person,) = landmarks(image, [upright])
    (lying,) = landmarks(np.ascontiguousarray(np.rot90(image, -1)), [turned])
    assert person is not None and lying is not None
    expected = person.pose.image[:, [1, 0]]
    expected[:, 0] = image.shape[0] - 1 - expected[:, 0]
    assert _mean_distance(lying.pose.image[:, :2], expected) < 6.0
    world = person.pose.world[:, [1, 0, 2]] * np.array([-1, 1, 1], np.float32)
    assert _mean_distance(lying.pose.world, world) < 0.06


def test_landmarks_track_people_from_image_to_image(
    frames: dict[int, Image], landmarks: HolisticLandmarks
) -> None:
    first = _find(landmarks, frames[140], WOMAN[140])
    second, twice, absent = landmarks(frames[141], [first, first, Roi(1500.0, 300.0, 300.0)])
    assert second is not None and twice is not None
    assert absent is None
    assert (first.age, second.age) == (0, 1)
    assert _pose_distance(second.pose, first.pose) < 0.1
    assert _pose_distance(second.pose, twice.pose) < 1e-6


@pytest.mark.parametrize("offset", [-0.3, -0.25])
def test_landmarks_do_not_move_to_a_neighbour_who_is_known(
    offset: float, frames: dict[int, Image], landmarks: HolisticLandmarks
) -> None:
    """The region of a person who has left the image shows a neighbour as well."""
    neighbour = _find(landmarks, frames[140], WOMAN[140])
    gone = _moved(neighbour, offset * neighbour.pose.roi.size)
    (alone,) = landmarks(frames[141], [gone])
    assert alone is not None
    assert _pose_distance(alone.pose, neighbour.pose) < 0.1, "she is seen in this region"
    still, none = landmarks(frames[141], [neighbour, gone])
    assert still is not None
    assert _pose_distance(still.pose, neighbour.pose) < 0.1
    assert none is None or _pose_distance(none.pose, neighbour.pose) > 0.2


def _moved(person: PersonLandmarks, right: float) -> PersonLandmarks:
    """The landmarks `right` pixels further to the right."""
    pose, offset = person.pose, np.array([right, 0.0, 0.0], np.float32)
    roi = replace(pose.roi, x=pose.roi.x + right)
    return replace(person, pose=replace(pose, image=pose.image + offset, roi=roi))


def _pose_distance(a: PoseLandmarks, b: PoseLandmarks) -> float:
    """Mean distance between two bodies' landmarks in the image, over the size of the smaller."""
    size = min(a.roi.size, b.roi.size) / ROI_SCALE
    return _mean_distance(a.image[:, :2], b.image[:, :2]) / size


def test_landmarks_do_not_depend_on_the_number_of_threads(
    frames: dict[int, Image], landmarks: HolisticLandmarks
) -> None:
    starts = [roi_from_box(np.array(box[60], np.float32)) for box in (MAN, WOMAN)]
    single = HolisticLandmarks(threads=1)
    for one, two in zip(single(frames[60], starts), landmarks(frames[60], starts), strict=True):
        assert one is not None and two is not None
        assert np.array_equal(one.pose.image, two.pose.image)
    single.close()


# --- hands and face --------------------------------------------------------------------------


@pytest.mark.parametrize("frame", [140, 172])
def test_hands_are_at_the_wrists_of_their_side(
    frames: dict[int, Image], landmarks: HolisticLandmarks, frame: int
) -> None:
    person = _find(landmarks, frames[frame], WOMAN[frame])
    assert person.left_hand is not None and person.right_hand is not None
    for hand, wrist in (
        (person.left_hand, Pose.LEFT_WRIST),
        (person.right_hand, Pose.RIGHT_WRIST),
    ):
        assert hand.image.shape == hand.world.shape == (NUM_HAND, 3)
        gap = hand.image[Hand.WRIST, :2] - person.pose.image[wrist, :2]
        assert np.linalg.norm(gap) < 15.0
        length = np.linalg.norm(hand.world[Hand.WRIST] - hand.world[Hand.MIDDLE_MCP])
        assert 0.05 < length < 0.13


def test_missing_hand_is_detected_again_within_three_images(
    frames: dict[int, Image], landmarks: HolisticLandmarks
) -> None:
    person = _find(landmarks, frames[172], WOMAN[172])
    assert person.left_hand is not None
    found = []
    for age in range(RETRY_INTERVAL):
        (again,) = landmarks(frames[172], [replace(person, left_hand=None, age=age)])
        assert again is not None and again.right_hand is not None
        found.append(again.left_hand is not None)
    assert found.count(True) == 1


def test_small_hand_moves_with_the_body_between_two_detections(
    frames: dict[int, Image], landmarks: HolisticLandmarks
) -> None:
    person = _find(landmarks, frames[172], WOMAN[172])
    hand = person.left_hand
    assert hand is not None and hand.roi.size < SMALL
    movement = np.array([7.0, -4.0, 0.0], np.float32)
    pose = replace(person.pose, image=person.pose.image - movement)
    before = replace(
        person,
        pose=pose,
        left_hand=replace(hand, image=hand.image - movement, roi=replace(hand.roi, x=0.0)),
        age=0,
    )
    (after,) = landmarks(frames[172], [before])
    assert after is not None and after.left_hand is not None
    moved = after.left_hand.image - hand.image + movement
    wrist = after.pose.image[Pose.LEFT_WRIST] - pose.image[Pose.LEFT_WRIST]
    np.testing.assert_allclose(moved, np.tile(wrist * [1, 1, 0], (NUM_HAND, 1)), atol=0.01)
    assert after.left_hand.roi.x == pytest.approx(wrist[0], abs=0.01)


def test_mirrored_hands_change_sides(
    frames: dict[int, Image], landmarks: HolisticLandmarks
) -> None:
    image = frames[172]
    width = image.shape[1]
    x0, y0, x1, y1 = WOMAN[172]
    person = _find(landmarks, image, (x0, y0, x1, y1))
    mirrored = _find(
        landmarks, np.ascontiguousarray(image[:, ::-1]), (width - x1, y0, width - x0, y1)
    )
    for hand, other in (
        (person.left_hand, mirrored.right_hand),
        (person.right_hand, mirrored.left_hand),
    ):
        assert hand is not None and other is not None
        back = other.image.copy()
        back[:, 0] = width - 1 - back[:, 0]
        assert _mean_distance(back[:, :2], hand.image[:, :2]) < 8.0


def test_face_is_in_the_head(frames: dict[int, Image], landmarks: HolisticLandmarks) -> None:
    person = _find(landmarks, frames[40], MAN[40])
    assert person.face is not None
    assert person.face.image.shape == (NUM_FACE, 3)
    head = person.pose.image[: Pose.MOUTH_RIGHT + 1, :2]
    assert np.linalg.norm(person.face.image[:, :2].mean(axis=0) - head.mean(axis=0)) < 15.0
    assert 25.0 < np.ptp(person.face.image[:, 0]) < 60.0


def test_hands_and_faces_that_are_too_small_are_not_detected(
    frames: dict[int, Image], landmarks: HolisticLandmarks
) -> None:
    small = cv2.resize(frames[140], None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    box = tuple(edge // 4 for edge in WOMAN[140])
    person = _find(landmarks, np.asarray(small, np.uint8), box)
    assert person.left_hand is None and person.right_hand is None and person.face is None


def test_face_turned_away_is_not_detected(
    frames: dict[int, Image], landmarks: HolisticLandmarks
) -> None:
    assert _find(landmarks, frames[60], WOMAN[60]).face is None
    assert _find(landmarks, frames[100], MAN[100]).face is None


# --- models ----------------------------------------------------------------------------------


def test_pruned_model_has_the_same_outputs() -> None:
    path = landmark_model("pose_landmark_full")
    crop = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    full = TfliteModel(path.read_bytes(), (4, 0))
    content = pruned(path, (4, 0))
    for a, b in zip(full(crop), TfliteModel(content, (0, 1))(crop), strict=True):
        assert np.array_equal(a, b)


def test_missing_models_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEAR_ROS_CACHE", str(tmp_path))
    with pytest.raises(
        AssetError, match=r"pose_landmark_full\.tflite is missing; run: pear download"
    ):
        HolisticLandmarks(threads=1)
    with pytest.raises(AssetError, match=r"pose_detection\.tflite is missing; run: pear download"):
        PersonDetector()
