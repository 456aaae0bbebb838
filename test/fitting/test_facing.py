# SPDX-License-Identifier: Apache-2.0
"""Front and back over time: landmarks that are swapped for a while, and people who really turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pear_ros.core.camera import Camera
from pear_ros.fitting import BodyFit, BodyFitter
from pear_ros.fitting.facing import NEAR, Facing, log_likelihood_ratio
from pear_ros.fitting.pose_prior import front_back_swapped
from pear_ros.io.downloads import demo_clip
from pear_ros.landmarks.pose import PoseModel, roi_from_box
from pear_ros.landmarks.types import PoseLandmarks

RATE = 30.0
"""Images per second."""
PERSON = np.array([0.325, 0.07, 0.41, 0.465])
"""Box of the person in the demo clip's first image, as shares of width and height."""


def angle_between(yaw: float, other: float) -> float:
    return abs((yaw - other + np.pi) % (2 * np.pi) - np.pi)


def believed(
    yaws: Sequence[float],
    swapped: Callable[[int], bool],
    evidence: Callable[[bool], float] = lambda _: 0.0,
    rate: float = RATE,
) -> list[float]:
    """Yaws that are believed of a person whose landmarks are swapped in some of the images.

    `evidence`: of an image, given whether its landmarks are swapped.
    """
    facing = Facing()
    result: list[float] = []
    for number, yaw in enumerate(yaws):
        wrong = swapped(number)
        # Swapping front and back without perspective: yaw becomes pi - yaw.
        as_is, other = (np.pi - yaw, yaw) if wrong else (yaw, np.pi - yaw)
        if result:
            turn, other_turn = (angle_between(one, result[-1]) for one in (as_is, other))
            seen = evidence(wrong) if turn >= NEAR else 0.0
            facing = facing.updated(turn, other_turn, seen, 1.0 / rate)
        result.append(other if facing.swapped else as_is)
    return result


def wrong(yaws: Sequence[float], found: Sequence[float]) -> list[int]:
    pairs = zip(yaws, found, strict=True)
    return [n for n, (yaw, one) in enumerate(pairs) if angle_between(yaw, one) > np.pi / 2]


@pytest.mark.parametrize(
    ("seconds", "misled"),
    [(0.2, -2.0), (0.2, 0.0), (0.2, 0.5), (0.5, -2.0), (0.5, 0.0), (0.5, 0.2)],
)
def test_swaps_turn_nobody(seconds: float, misled: float) -> None:
    """`misled`: evidence for landmarks while they are swapped; they are after 1.5 s."""
    yaws = [0.3] * 90
    found = believed(
        yaws, lambda n: 45 <= n < 45 + seconds * RATE, lambda swapped: misled if swapped else 0.0
    )
    assert wrong(yaws, found) == []


@pytest.mark.parametrize(("seconds", "settled"), [(0.2, 0.5), (0.5, 1.1)])
def test_a_track_that_begins_swapped_settles(seconds: float, settled: float) -> None:
    yaws = [0.3] * 90
    found = believed(yaws, lambda n: n < seconds * RATE)
    assert wrong(yaws, found)[-1] < settled * RATE
    sooner = believed(yaws, lambda n: n < seconds * RATE, lambda swapped: -3.0 if swapped else 3.0)
    assert len(wrong(yaws, sooner)) <= seconds * RATE + 2, "evidence helps"


@pytest.mark.parametrize("turns_per_second", [0.25, 1.0, 2.0])
def test_a_person_who_turns_is_followed(turns_per_second: float) -> None:
    yaws = list(2 * np.pi * turns_per_second * np.arange(60) / RATE)
    assert wrong(yaws, believed(yaws, lambda _: False)) == []


def test_a_half_turn_between_two_images_is_believed_in_the_end() -> None:
    yaws = [0.1] * 30 + [0.1 + np.pi] * 60
    found = believed(yaws, lambda _: False, lambda _: 1.0)
    late = [n - 30 for n in wrong(yaws, found)]
    assert late and late[-1] < 1.0 * RATE


@given(st.lists(st.tuples(st.booleans(), st.floats(-50, 50)), max_size=60))
def test_log_odds_and_evidence_are_bounded(images: list[tuple[bool, float]]) -> None:
    facing = Facing()
    for swapped, evidence in images:
        turn, other_turn = (3.0, 0.1) if swapped else (0.1, 3.0)
        facing = facing.updated(turn, other_turn, evidence, 0.05)
        assert facing.evidence <= facing.log_odds <= 8.0
        assert abs(facing.evidence) <= 3.0


def test_evidence_counts_where_costs_agree() -> None:
    assert log_likelihood_ratio(10.0, 30.0, -50.0, -50.0) == pytest.approx(10.0)
    assert log_likelihood_ratio(30.0, 10.0, -50.0, -50.0) == pytest.approx(-10.0)
    assert log_likelihood_ratio(10.0, 30.0, -50.0, -54.0) == 0.0, "less sure of itself"
    assert log_likelihood_ratio(10.0, 30.0, -50.0, -52.0) == pytest.approx(4.0)


@pytest.fixture(scope="module")
def fitter() -> BodyFitter:
    return BodyFitter()


@pytest.fixture(scope="module")
def person() -> tuple[list[PoseLandmarks], Camera]:
    """Body landmarks of the person who is there from the demo clip's beginning, 2.7 s of it."""
    clip, model = cv2.VideoCapture(str(demo_clip())), PoseModel()
    found: list[PoseLandmarks] = []
    while len(found) < 80:
        _, image = clip.read()
        pixels = np.asarray(image, np.uint8)
        height, width = pixels.shape[:2]
        box = (PERSON * (width, height, width, height)).astype(np.float32)
        roi = found[-1].roi if found else roi_from_box(box)
        pose = model.detect(pixels, roi, proposed=not found)
        assert pose is not None
        found.append(pose)
    return found, Camera(width, height, width, width, width / 2, height / 2)


def fits(fitter: BodyFitter, poses: Sequence[PoseLandmarks], camera: Camera) -> list[BodyFit]:
    result: list[BodyFit] = []
    for pose in poses:
        previous = result[-1] if result else None
        result.append(fitter(pose, camera, previous, 1.0 / RATE))
    return result


def reversed_images(found: Sequence[BodyFit], truth: Sequence[BodyFit]) -> list[int]:
    """Images in which the chest points away from where it should."""
    pairs = zip(found, truth, strict=True)
    return [
        n
        for n, (one, other) in enumerate(pairs)
        if one.state.rotations[0][:, 2] @ other.state.rotations[0][:, 2] < 0
    ]


@pytest.mark.parametrize(("begin", "count"), [(30, 6), (60, 15)])
def test_swapped_landmarks_on_video_turn_nobody(
    fitter: BodyFitter, person: tuple[list[PoseLandmarks], Camera], begin: int, count: int
) -> None:
    poses, camera = person
    truth = fits(fitter, poses, camera)
    confused = [
        front_back_swapped(pose) if begin <= n < begin + count else pose
        for n, pose in enumerate(poses)
    ]
    found = fits(fitter, confused, camera)
    assert reversed_images(found, truth) == []
    assert any(fit.facing.swapped for fit in found[begin : begin + count])
    sure = [replace(pose, swappable=False) for pose in confused]
    assert reversed_images(fits(fitter, sure, camera), truth)


def test_a_video_that_begins_swapped_is_put_right(
    fitter: BodyFitter, person: tuple[list[PoseLandmarks], Camera]
) -> None:
    poses, camera = person
    confused = [front_back_swapped(pose) if n < 6 else pose for n, pose in enumerate(poses)]
    found = reversed_images(fits(fitter, confused, camera), fits(fitter, poses, camera))
    assert len(found) < 20, "about 0.5 s at most"


def test_landmarks_that_cannot_be_swapped_are_believed_at_once(
    fitter: BodyFitter, person: tuple[list[PoseLandmarks], Camera]
) -> None:
    poses, camera = person
    first = fits(fitter, poses[:12], camera)[-1]
    other = replace(front_back_swapped(poses[12]), swappable=False)
    fit = fitter(other, camera, first, 1.0 / RATE)
    alone = fitter(other, camera, None, 0.0)
    assert reversed_images([fit], [alone]) == []
    assert reversed_images([fit], [first]) == [0]
