# SPDX-License-Identifier: Apache-2.0
"""Synchronisation by approximate time: newest image first, companions by stamp, no endless wait."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from pear_ros.ros.node.image_statistics import StatisticsCollector
from pear_ros.ros.node.synchronizer import ImageSynchronizer, SynchronizedImage

MS = 1_000_000
LONG = 1e4
"""Seconds that a test does not live to see."""


def counts(statistics: StatisticsCollector) -> tuple[int, int]:
    snapshot = statistics.snapshot()
    return snapshot.dropped, snapshot.late_depth


def taken(synchronizer: ImageSynchronizer) -> SynchronizedImage:
    item = synchronizer.take()
    assert item is not None
    return item


def test_the_newest_image_wins() -> None:
    statistics = StatisticsCollector()
    synchronizer = ImageSynchronizer(statistics)
    for number in range(3):
        synchronizer.add_image(number, number)
    assert taken(synchronizer).image == 2
    assert counts(statistics) == (2, 0)


def test_take_waits_for_an_image() -> None:
    synchronizer = ImageSynchronizer(StatisticsCollector())
    threading.Timer(0.01, synchronizer.add_image, ["late", 0]).start()
    assert taken(synchronizer).image == "late"


def test_close_ends_a_wait_and_all_later_ones() -> None:
    synchronizer = ImageSynchronizer(StatisticsCollector())
    results: list[SynchronizedImage | None] = []
    thread = threading.Thread(target=lambda: results.append(synchronizer.take()))
    thread.start()
    synchronizer.close()
    thread.join(timeout=10)
    assert results == [None]
    synchronizer.add_image(1, 1)
    assert synchronizer.take() is None


def test_an_image_waits_for_its_companion() -> None:
    synchronizer = ImageSynchronizer(
        StatisticsCollector(), ["depth"], tolerance=0.005, timeout=LONG
    )
    synchronizer.add_image("image", 100 * MS)
    threading.Timer(0.01, synchronizer.add, ["depth", "its depth", 103 * MS]).start()
    assert taken(synchronizer).companions == {"depth": "its depth"}


def test_a_companion_may_come_first_and_the_nearest_is_taken() -> None:
    synchronizer = ImageSynchronizer(StatisticsCollector(), ["depth"], tolerance=0.02, timeout=LONG)
    for stamp in (90, 99, 110):
        synchronizer.add("depth", stamp, stamp * MS)
    synchronizer.add_image("image", 100 * MS)
    assert taken(synchronizer).companions == {"depth": 99}


def test_the_newest_complete_image_goes_before_newer_ones_that_wait() -> None:
    statistics = StatisticsCollector()
    synchronizer = ImageSynchronizer(statistics, ["depth"], timeout=LONG)
    for number in range(4):
        synchronizer.add_image(number, number * MS)
    synchronizer.add("depth", "of 2", 2 * MS)
    assert taken(synchronizer).image == 2
    assert counts(statistics) == (2, 0)
    synchronizer.add("depth", "of 3", 3 * MS)
    assert taken(synchronizer).companions == {"depth": "of 3"}


def test_an_image_is_taken_without_late_inputs_after_the_timeout() -> None:
    statistics = StatisticsCollector()
    synchronizer = ImageSynchronizer(statistics, ["depth", "detections"], timeout=0.01)
    synchronizer.add("detections", "people", 7)
    synchronizer.add_image("image", 7)
    assert taken(synchronizer).companions == {"detections": "people"}
    synchronizer.add("depth", "too late", 7)
    assert counts(statistics) == (0, 1)
    synchronizer.add("depth", "in time", 8)
    synchronizer.add("detections", "people", 8)
    synchronizer.add_image("next", 8)
    assert set(taken(synchronizer).companions) == {"depth", "detections"}


def test_a_companion_of_another_time_is_never_taken() -> None:
    synchronizer = ImageSynchronizer(StatisticsCollector(), ["depth"], tolerance=0.01, timeout=0.01)
    synchronizer.add("depth", "stale", 0)
    synchronizer.add_image("image", 11 * MS)
    assert taken(synchronizer).companions == {}


def test_a_clock_that_goes_back_does_not_block_what_follows() -> None:
    statistics = StatisticsCollector()
    synchronizer = ImageSynchronizer(statistics, ["depth"], timeout=LONG)
    synchronizer.add("depth", "old", 1000 * MS)
    synchronizer.add_image("old", 1000 * MS)
    assert taken(synchronizer).image == "old"
    synchronizer.add("depth", "waits for ever", 1001 * MS)
    synchronizer.add_image("waits", 1002 * MS)
    synchronizer.add_image("again", 5 * MS)
    synchronizer.add("depth", "new", 5 * MS)
    item = taken(synchronizer)
    assert (item.image, item.companions) == ("again", {"depth": "new"})
    assert counts(statistics) == (1, 0)


def test_memory_is_bounded() -> None:
    statistics = StatisticsCollector()
    synchronizer = ImageSynchronizer(statistics, ["depth"], timeout=LONG)
    for number in range(1000):
        synchronizer.add_image(number, number)
    assert counts(statistics)[0] == 1000 - 16


@given(st.permutations([(kind, n) for n in range(5) for kind in ("image", "depth", "detections")]))
def test_whatever_the_order_of_arrival(arrivals: Iterable[tuple[str, int]]) -> None:
    """Images in their order, companions anyhow: every image taken has exactly its own."""
    synchronizer = ImageSynchronizer(StatisticsCollector(), ["depth", "detections"], timeout=0.0)
    images = itertools.count()
    results = []
    for kind, number in arrivals:
        if kind == "image":
            image = next(images)
            synchronizer.add_image(image, image)
        else:
            synchronizer.add(kind, number, number)
        if kind == "image":
            results.append(taken(synchronizer))
    assert [item.image for item in results] == list(range(5))
    for item in results:
        assert set(item.companions.values()) <= {item.image}


class Large:
    """A message of 50 MB, without its memory."""

    data = range(50_000_000)


def test_bytes_that_wait_are_bounded() -> None:
    statistics = StatisticsCollector()
    synchronizer = ImageSynchronizer(statistics, ["depth"], timeout=LONG)
    for number in range(10):
        synchronizer.add_image(Large(), number * MS)
    assert statistics.snapshot().dropped == 8, "two of 50 MB are kept"
    for number in range(100, 110):
        synchronizer.add("depth", Large(), number * MS)
    synchronizer.add_image(Large(), 102 * MS)
    synchronizer.timeout = 0.0
    assert taken(synchronizer).companions == {}
    synchronizer.add_image(Large(), 109 * MS)
    assert "depth" in taken(synchronizer).companions


def test_companions_are_matched_again_though_all_stamps_are_zero() -> None:
    statistics = StatisticsCollector()
    synchronizer = ImageSynchronizer(statistics, ["depth"], tolerance=0.02)
    synchronizer.add_image("first", 0)
    assert taken(synchronizer).companions == {}, "timed out"
    synchronizer.timeout = LONG
    for number in range(3):
        synchronizer.add_image(f"image {number}", 0)
        synchronizer.add("depth", f"depth {number}", 0)
        item = taken(synchronizer)
        assert (item.image, item.companions) == (f"image {number}", {"depth": f"depth {number}"})
    assert counts(statistics) == (0, 0)
