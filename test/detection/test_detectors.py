# SPDX-License-Identifier: Apache-2.0
"""Detectors: schedule, state, reset, threads, and the fall-back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from pear_ros.core.estimator import Detection
from pear_ros.core.people import Array, Image
from pear_ros.detection import nanodet
from pear_ros.detection.blazepose import PersonDetector, Proposal
from pear_ros.detection.blazepose_detector import BlazePoseDetector
from pear_ros.detection.detectors import FullFrame, make_detector
from pear_ros.detection.nanodet import NanoDet
from pear_ros.detection.nanodet_detector import (
    SEARCH_INTERVAL,
    TRACKING_INTERVAL,
    NanoDetDetector,
)
from pear_ros.landmarks.roi import Roi

IMAGE: Image = np.zeros((480, 640, 3), np.uint8)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[Roi]]]:
    """The windows of each search; no person is found in any."""
    searches: list[list[Roi]] = []

    def detect(self: PersonDetector, image: Image, windows: list[Roi]) -> list[Proposal]:
        searches.append(list(windows))
        return []

    monkeypatch.setattr(PersonDetector, "detect", detect)
    yield searches


@pytest.mark.parametrize("images", range(1, 7))
def test_blazepose_after_reset_searches_like_a_new_one(
    windows: list[list[Roi]], images: int
) -> None:
    missing = [np.array([100, 100, 200, 400], np.float32)]
    fresh, used = BlazePoseDetector(), BlazePoseDetector()

    def search(detector: BlazePoseDetector, count: int) -> list[list[Roi]]:
        windows.clear()
        for _ in range(count):
            detector(IMAGE, 2, missing, 0.0)
            detector.state()  # Waits for the search in the background.
        return list(windows)

    search(used, images)
    used.reset()
    assert used.state() == fresh.state()
    assert search(used, 8) == search(fresh, 8)
    for detector in (fresh, used):
        detector.close()


@pytest.mark.parametrize("name", ["built_in", "blazepose"])
def test_detector_stops_its_thread_when_closed(name: str) -> None:
    before = set(threading.enumerate())
    detector = make_detector(name)
    for image in range(10):
        detector(IMAGE, 1, [], image / 15)
    assert set(threading.enumerate()) - before
    detector.close()
    assert not set(threading.enumerate()) - before


def test_full_frame_is_one_box_until_a_person_is_tracked() -> None:
    detector = FullFrame()
    (found,) = detector(IMAGE, 0, [], 0.0)
    assert found.box.tolist() == [0, 0, 640, 480] and np.isnan(found.score)
    assert detector(IMAGE, 1, [], 0.0) == []


def test_make_detector_by_name() -> None:
    assert isinstance(make_detector(), NanoDetDetector)
    assert isinstance(make_detector("blazepose"), BlazePoseDetector)
    assert isinstance(make_detector("full_frame"), FullFrame)
    assert make_detector("topic")(IMAGE, 0, [], 0.0) == []


def test_without_its_file_the_built_in_detector_is_blazepose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(nanodet, "MODEL_FILE", tmp_path / "nanodet_g.tflite")
    with caplog.at_level(logging.WARNING):
        assert isinstance(make_detector("built_in"), BlazePoseDetector)
    (message,) = caplog.messages
    assert "nanodet_g.tflite" in message and "install pear_ros again" in message
    assert "BlazePose" in message


# --- the schedule of NanoDet on a video ---------------------------------------------------------

Found = list[tuple[float, float]]


@pytest.fixture
def schedule(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Found]:
    """(stamp of the image, stamp of the searched image) of each detection that is returned."""

    def run(detector: NanoDetDetector, stamps: Sequence[float], tracked: int = 1) -> Found:
        searched: list[float] = []

        def detect(self: NanoDet, image: Image) -> list[Detection]:
            searched.append(float(image[0, 0, 0]) / 30)
            # The stamp stands in the box, as the score may be dropped.
            return [Detection(np.array([0, 0, 9, searched[-1]]), 0.9)]

        for name in ("__call__", "detect_still"):
            monkeypatch.setattr(NanoDet, name, detect)
        found = []
        for stamp in stamps:
            image = np.full((48, 64, 3), round(stamp * 30), np.uint8)
            found += [(stamp, float(one.box[3])) for one in detector(image, tracked, [], stamp)]
        detector.close()
        return found

    return run


VIDEO = [n / 30 for n in range(31)]


def test_first_image_is_searched_at_once_and_later_ones_in_the_background(
    schedule: Callable[..., Found],
) -> None:
    found = schedule(NanoDetDetector(), VIDEO)
    assert found[0] == (0.0, 0.0)
    step = round(TRACKING_INTERVAL * 30)
    searched = [n / 30 for n in range(step, 30, step)]
    np.testing.assert_allclose(found[1:], [(stamp + 1 / 30, stamp) for stamp in searched])


def test_with_nobody_tracked_images_are_searched_more_often_and_at_once(
    schedule: Callable[..., Found],
) -> None:
    found = schedule(NanoDetDetector(), VIDEO, tracked=0)
    step = round(SEARCH_INTERVAL * 30)
    np.testing.assert_allclose(found, [(n / 30, n / 30) for n in range(0, 31, step)])


def test_slow_images_and_single_pictures_are_searched_at_once(
    schedule: Callable[..., Found],
) -> None:
    slow = [0.0, 0.5, 1.0, 1.5]
    assert schedule(NanoDetDetector(), slow) == [(stamp, stamp) for stamp in slow]
    assert schedule(NanoDetDetector(), [0.0, 0.0, 0.0]) == [(0.0, 0.0)] * 3


def test_image_of_another_size_is_searched_at_once(schedule: Callable[..., Found]) -> None:
    detector = NanoDetDetector()
    detector(IMAGE, 1, [], 0.0)
    assert schedule(detector, [1 / 30]) == [(1 / 30, 1 / 30)]


@pytest.mark.parametrize("images", range(1, 9))
def test_restored_detector_returns_the_same(schedule: Callable[..., Found], images: int) -> None:
    """Also where a search is pending, and after a reset as a new detector does."""
    first, second, third = NanoDetDetector(), NanoDetDetector(), NanoDetDetector()
    whole = schedule(NanoDetDetector(), VIDEO)
    for stamp in VIDEO[:images]:
        first(np.full((48, 64, 3), round(stamp * 30), np.uint8), 1, [], stamp)
    second.restore(first.state())
    first.reset()
    assert first.state() == third.state()
    rest = schedule(second, VIDEO[images:])
    assert rest == whole[len(whole) - len(rest) :]
    assert len(rest) == sum(stamp >= VIDEO[images] for stamp, _ in whole)
    for detector in (first, third):
        detector.close()


def test_places_of_people_who_were_not_measured_are_proposed_with_each_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def box(left: float) -> Array:
        return np.array([left, 10, left + 100, 300], np.float32)

    coasting = [box(100), box(300), box(-80)]
    """The first is detected, the last has left the image."""
    for name in ("__call__", "detect_still"):
        monkeypatch.setattr(NanoDet, name, lambda self, image: [Detection(box(110), 0.9)])
    detector = NanoDetDetector()
    detector(IMAGE, 3, [], 0.0)
    proposed = []
    for n in range(1, 7):
        found = detector(IMAGE, 3, coasting, n / 30)
        proposed.append([float(one.box[0]) for one in found if np.isnan(one.score)])
    detector.close()
    # In each image of a search, the detections of the search before are long known.
    assert proposed == [[], [], [100.0, 300.0], [], [], [100.0, 300.0]]


Scores = Callable[..., list[float]]


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> Scores:
    """Scores that a detector returns for a video, given those in its searches; 0: no detection.

    `step`: pixels by which the box moves from search to search.
    """

    def run(given: Sequence[float], step: int) -> list[float]:
        searches = [
            Detection(np.array([10 + n * step, 10, 40 + n * step, 90], np.float32), score)
            for n, score in enumerate(given)
        ]
        for name in ("__call__", "detect_still"):
            monkeypatch.setattr(NanoDet, name, lambda self, image: [searches.pop(0)])
        detector = NanoDetDetector(min_score=0.35)
        found = [detector(IMAGE, 0, [], n * SEARCH_INTERVAL) for n in range(len(given))]
        detector.close()
        return [one[0].score if one else 0.0 for one in found]

    return run


def test_person_of_a_single_picture_needs_the_least_score(scores: Scores) -> None:
    assert scores([0.36], 0) == [0.36]
    assert scores([0.34], 0) == [0.0]


def test_new_detections_of_low_score_in_a_video_are_proposals(scores: Scores) -> None:
    np.testing.assert_array_equal(
        scores([0.2, 0.4, 0.45, 0.3, 0.49], 8), [0.0, np.nan, np.nan, 0.0, np.nan]
    )
    np.testing.assert_array_equal(scores([0.4, 0.4], 8), [0.4, np.nan])


def test_proposal_that_has_not_moved_is_not_made_again(scores: Scores) -> None:
    """A sign that resembles a person."""
    np.testing.assert_array_equal(scores([0.2, 0.4, 0.45, 0.3, 0.49], 0), [0.0, np.nan, 0, 0, 0])
    np.testing.assert_array_equal(scores([0.4, 0.4], 0), [0.4, 0.0])


def test_person_with_a_high_score_once_is_detected_with_lower_ones(scores: Scores) -> None:
    np.testing.assert_array_equal(
        scores([0.2, 0.4, 0.5, 0.4, 0.34, 0.3, 0.36], 4), [0.0, np.nan, 0.5, 0.4, 0.0, 0.0, 0.36]
    )
    np.testing.assert_array_equal(
        scores([0.5, 0.3, 0.3, 0.3, 0.4], 4), [0.5, 0.0, 0.0, 0.0, np.nan]
    )
