# SPDX-License-Identifier: Apache-2.0
"""LandmarkEstimator in the boxes of a detector: people who are cut off, hidden, or side by side."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Detection, Region
from pear_ros.core.mirroring import OTHER_SIDE_JOINT
from pear_ros.core.people import Array, Image, TrackingState
from pear_ros.detection.detectors import NoDetector
from pear_ros.estimators.landmark_estimator import LandmarkEstimator
from pear_ros.pipeline import Pipeline
from pear_ros.training.studio import SyntheticPerson, SyntheticStudio

SIDE = 480
HEAD = 15
ANKLES = [7, 8]
SCORE = 0.7


@pytest.fixture(scope="module")
def estimator() -> Iterator[LandmarkEstimator]:
    one = LandmarkEstimator(model="full")
    yield one
    one.close()


@pytest.fixture(scope="module")
def person() -> SyntheticPerson:
    rng = np.random.default_rng([7, 0])
    return SyntheticStudio().shoot(rng, "standing", 0, (SIDE, SIDE))


def box_of(person: SyntheticPerson) -> Array:
    pixels = person.camera.project(person.vertices)
    return np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])


def shifted(camera: Camera, left: int, top: int, width: int, height: int) -> Camera:
    """Return the camera of a piece of the image."""
    return Camera(width, height, camera.fx, camera.fy, camera.cx - left, camera.cy - top)


def cut(person: SyntheticPerson, edge: str, share: float = 0.4) -> tuple[Image, Camera, Array]:
    """Return image, camera and visible box of a person of whom an edge cuts `share` off."""
    x0, y0, x1, y1 = box_of(person)
    left, top, right, bottom = 0, 0, SIDE, SIDE
    if edge == "left":
        left = round(x0 + share * (x1 - x0))
    elif edge == "right":
        right = round(x1 - share * (x1 - x0))
    elif edge == "top":
        top = round(y0 + share * (y1 - y0))
    else:
        bottom = round(y1 - share * (y1 - y0))
    image = np.ascontiguousarray(person.image[top:bottom, left:right])
    camera = shifted(person.camera, left, top, right - left, bottom - top)
    box = np.array([x0 - left, y0 - top, x1 - left, y1 - top], np.float32)
    limit = np.array([camera.width, camera.height] * 2)
    return image, camera, np.clip(box, 0, limit).astype(np.float32)


@pytest.mark.parametrize("edge", ["left", "right", "top", "bottom"])
def test_person_whom_an_edge_cuts_off_is_found_in_place(
    estimator: LandmarkEstimator, person: SyntheticPerson, edge: str
) -> None:
    image, camera, box = cut(person, edge, 0.1 if edge == "top" else 0.4)
    estimator.reset()
    (estimate,) = estimator.estimate(image, camera, [Region("r1", box, SCORE)], 0.0)
    assert estimate is not None
    assert estimate.score >= SCORE
    assert estimate.pose_observed
    true = camera.project(person.joints[:22])
    found = estimate.keypoints[:22]
    if edge == "top":
        # Without eyes front and back look the same: the right place counts here, not the facing.
        swapped = found[OTHER_SIDE_JOINT[:22]]
        found = min(found, swapped, key=lambda points: float(np.abs(points - true).mean()))
    off = np.linalg.norm(found - true, axis=1) / np.ptp(true[:, 1])
    visible = (true >= 0).all(axis=1) & (true < [camera.width, camera.height]).all(axis=1)
    assert np.median(off[visible]) < 0.1


def test_two_people_side_by_side_stay_two(
    estimator: LandmarkEstimator, person: SyntheticPerson
) -> None:
    x0, _, x1, _ = box_of(person)
    left, right = int(max(x0 - 2, 0)), int(min(x1 + 2, SIDE))
    piece = person.image[:, left:right]
    image = np.ascontiguousarray(np.hstack([piece, piece]))
    camera = shifted(person.camera, left, 0, image.shape[1], SIDE)
    box = box_of(person) - np.array([left, 0, left, 0], np.float32)
    other = box + np.array([piece.shape[1], 0, piece.shape[1], 0], np.float32)
    pipeline = Pipeline(estimator, NoDetector())
    pipeline.reset()
    detections = [Detection(one, SCORE) for one in (box, other)]
    for stamp in (0.0, 0.1, 0.2):
        people = pipeline(image, camera, stamp, detections=detections).persons
        assert [one.id for one in people] == ["h1", "h2"]
        heads = np.array([one.keypoints[HEAD, 0] for one in people])
        assert np.ptp(heads) == pytest.approx(piece.shape[1], rel=0.1)


def hidden(person: SyntheticPerson) -> Image:
    """Return the image with a board in front of the person."""
    x0, y0, x1, y1 = np.round(box_of(person)).astype(int)
    image = person.image.copy()
    image[max(y0, 0) : y1, max(x0, 0) : x1] = (30, 60, 90)
    return image


def test_person_behind_a_board_is_published_as_detected(
    estimator: LandmarkEstimator, person: SyntheticPerson
) -> None:
    pipeline = Pipeline(estimator, NoDetector())
    pipeline.reset()
    image, box = hidden(person), box_of(person)
    for stamp in (0.0, 0.1):
        people = pipeline(image, person.camera, stamp, detections=[Detection(box, SCORE)])
        (one,) = people.persons
        assert one.state is TrackingState.DETECTED
        assert not one.pose_observed
        assert one.score == pytest.approx(SCORE)
        assert one.joint_confidence.max() < 0.01
        assert np.array_equal(one.box, box)
        mesh = person.camera.project(pipeline.meshes(people)[0])
        low, high = mesh.min(axis=0), mesh.max(axis=0)
        assert low[1] == pytest.approx(box[1], abs=0.05 * SIDE)
        assert high[1] == pytest.approx(box[3], abs=0.05 * SIDE)
        assert (low[0] + high[0]) / 2 == pytest.approx((box[0] + box[2]) / 2, abs=10)
    seen = pipeline(person.image, person.camera, 0.2, detections=[Detection(box, SCORE)]).persons
    assert [(p.id, p.state) for p in seen] == [("h1", TrackingState.TRACKED)]
    again = pipeline(image, person.camera, 0.3, detections=[Detection(box, SCORE)]).persons
    assert [(p.id, p.state) for p in again] == [("h1", TrackingState.DETECTED)]
    assert np.allclose(again[0].smplx.pose[1:22], seen[0].smplx.pose[1:22], atol=0.5), "as before"
    assert again[0].joints[0, 2] == pytest.approx(seen[0].joints[0, 2], rel=0.1), "the same depth"


def test_body_that_cannot_be_read_is_tried_in_every_third_image_without_a_detection(
    estimator: LandmarkEstimator, person: SyntheticPerson
) -> None:
    estimator.reset()
    image, box = hidden(person), box_of(person)
    estimator.estimate(image, person.camera, [Region("r1", box, SCORE)], 0.0)
    found = []
    for n in range(1, 5):
        (one,) = estimator.estimate(person.image, person.camera, [Region("r1", box)], n / 30)
        found.append(one is not None and one.pose_observed)
    assert found == [False, False, True, True]


def test_person_behind_a_table_is_read_above_it(
    estimator: LandmarkEstimator, person: SyntheticPerson
) -> None:
    box = box_of(person)
    middle = round(0.45 * box[1] + 0.55 * box[3])
    image = person.image.copy()
    image[middle:] = 0
    box[3] = middle
    estimator.reset()
    (one,) = estimator.estimate(image, person.camera, [Region("r1", box, SCORE)], 0.0)
    assert one is not None and one.pose_observed
    true = person.camera.project(person.joints)
    assert np.linalg.norm(one.keypoints[HEAD] - true[HEAD]) < 0.1 * (box[3] - box[1])
    assert one.joint_confidence[HEAD] > 0.8
    assert one.joint_confidence[ANKLES].max() < 0.2


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_close_up_has_its_head_in_place_and_invents_no_feet(
    estimator: LandmarkEstimator, seed: int
) -> None:
    rng = np.random.default_rng([seed, 5])
    near = SyntheticStudio().shoot(rng, "standing", 15, (SIDE, SIDE), margin=1.05, close_up=True)
    box = np.clip(box_of(near), 0, SIDE)
    estimator.reset()
    (one,) = estimator.estimate(near.image, near.camera, [Region("r1", box, SCORE)], 0.0)
    assert one is not None and one.pose_observed
    head = near.camera.project(near.joints)[HEAD]
    assert np.linalg.norm(one.keypoints[HEAD] - head) < 0.1 * (box[2:] - box[:2]).max()
    assert one.joints[HEAD, 2] == pytest.approx(float(near.joints[HEAD, 2]), rel=0.3)
    assert one.joint_confidence[HEAD] > 0.5
    assert one.joint_confidence[ANKLES].max() < 0.1


def test_state_of_a_person_who_is_detected_can_be_restored(
    estimator: LandmarkEstimator, person: SyntheticPerson
) -> None:
    region = Region("r1", box_of(person), SCORE)
    estimator.reset()
    estimator.estimate(hidden(person), person.camera, [region], 0.0)
    state = estimator.state()
    (first,) = estimator.estimate(person.image, person.camera, [region], 0.1)
    estimator.restore(state)
    (second,) = estimator.estimate(person.image, person.camera, [region], 0.1)
    assert first is not None and second is not None
    assert np.array_equal(first.joints, second.joints)
    assert not math.isnan(first.score)
