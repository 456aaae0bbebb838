# SPDX-License-Identifier: Apache-2.0
"""Detectors: state, reset and threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from pear_ros.core.people import Image
from pear_ros.detection.blazepose import PersonDetector, Proposal
from pear_ros.detection.detectors import BuiltInDetector, FullFrame, make_detector
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
def test_built_in_detector_after_reset_searches_like_a_new_one(
    windows: list[list[Roi]], images: int
) -> None:
    missing = [np.array([100, 100, 200, 400], np.float32)]
    fresh, used = BuiltInDetector(), BuiltInDetector()

    def search(detector: BuiltInDetector, count: int) -> list[list[Roi]]:
        windows.clear()
        for _ in range(count):
            detector(IMAGE, 2, missing)
            detector.state()  # Waits for the search in the background.
        return list(windows)

    search(used, images)
    used.reset()
    assert used.state() == fresh.state()
    assert search(used, 8) == search(fresh, 8)
    for detector in (fresh, used):
        detector.close()


def test_built_in_detector_stops_its_thread_when_closed() -> None:
    before = set(threading.enumerate())
    detector = BuiltInDetector()
    for _ in range(2):
        detector(IMAGE, 1, [])
    assert set(threading.enumerate()) - before
    detector.close()
    assert not set(threading.enumerate()) - before


def test_full_frame_is_one_box_until_a_person_is_tracked() -> None:
    detector = FullFrame()
    (found,) = detector(IMAGE, 0, [])
    assert found.box.tolist() == [0, 0, 640, 480] and np.isnan(found.score)
    assert detector(IMAGE, 1, []) == []


def test_make_detector_by_name() -> None:
    assert isinstance(make_detector("full_frame"), FullFrame)
    assert make_detector("topic")(IMAGE, 0, []) == []
