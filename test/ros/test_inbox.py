# SPDX-License-Identifier: Apache-2.0
"""The worker's inbox: the newest image wins, companions find their image, nobody waits for ever."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from pear_ros.ros.node.inbox import Inbox, Item
from pear_ros.ros.node.metrics import Recorder

MS = 1_000_000
LONG = 1e4
"""Seconds that a test does not live to see."""


def counts(recorder: Recorder) -> tuple[int, int]:
    statistics = recorder.snapshot()
    return statistics.dropped, statistics.late_depth


def taken(inbox: Inbox) -> Item:
    item = inbox.take()
    assert item is not None
    return item


def test_the_newest_image_wins() -> None:
    recorder = Recorder()
    inbox = Inbox(recorder)
    for number in range(3):
        inbox.put_image(number, number)
    assert taken(inbox).image == 2
    assert counts(recorder) == (2, 0)


def test_take_waits_for_an_image() -> None:
    inbox = Inbox(Recorder())
    threading.Timer(0.01, inbox.put_image, ["late", 0]).start()
    assert taken(inbox).image == "late"


def test_close_ends_a_wait_and_all_later_ones() -> None:
    inbox = Inbox(Recorder())
    results: list[Item | None] = []
    thread = threading.Thread(target=lambda: results.append(inbox.take()))
    thread.start()
    inbox.close()
    thread.join(timeout=10)
    assert results == [None]
    inbox.put_image(1, 1)
    assert inbox.take() is None


def test_an_image_waits_for_its_companion() -> None:
    inbox = Inbox(Recorder(), ["depth"], tolerance=0.005, timeout=LONG)
    inbox.put_image("image", 100 * MS)
    threading.Timer(0.01, inbox.put, ["depth", "its depth", 103 * MS]).start()
    assert taken(inbox).companions == {"depth": "its depth"}


def test_a_companion_may_come_first_and_the_nearest_is_taken() -> None:
    inbox = Inbox(Recorder(), ["depth"], tolerance=0.02, timeout=LONG)
    for stamp in (90, 99, 110):
        inbox.put("depth", stamp, stamp * MS)
    inbox.put_image("image", 100 * MS)
    assert taken(inbox).companions == {"depth": 99}


def test_the_newest_complete_image_goes_before_newer_ones_that_wait() -> None:
    recorder = Recorder()
    inbox = Inbox(recorder, ["depth"], timeout=LONG)
    for number in range(4):
        inbox.put_image(number, number * MS)
    inbox.put("depth", "of 2", 2 * MS)
    assert taken(inbox).image == 2
    assert counts(recorder) == (2, 0)
    inbox.put("depth", "of 3", 3 * MS)
    assert taken(inbox).companions == {"depth": "of 3"}


def test_an_image_that_waits_in_vain_is_taken_without() -> None:
    recorder = Recorder()
    inbox = Inbox(recorder, ["depth", "detections"], timeout=0.01)
    inbox.put("detections", "people", 7)
    inbox.put_image("image", 7)
    assert taken(inbox).companions == {"detections": "people"}
    inbox.put("depth", "too late", 7)
    assert counts(recorder) == (0, 1)
    inbox.put("depth", "in time", 8)
    inbox.put("detections", "people", 8)
    inbox.put_image("next", 8)
    assert set(taken(inbox).companions) == {"depth", "detections"}


def test_a_companion_of_another_time_is_never_taken() -> None:
    inbox = Inbox(Recorder(), ["depth"], tolerance=0.01, timeout=0.01)
    inbox.put("depth", "stale", 0)
    inbox.put_image("image", 11 * MS)
    assert taken(inbox).companions == {}


def test_a_clock_that_goes_back_does_not_block_what_follows() -> None:
    recorder = Recorder()
    inbox = Inbox(recorder, ["depth"], timeout=LONG)
    inbox.put("depth", "old", 1000 * MS)
    inbox.put_image("old", 1000 * MS)
    assert taken(inbox).image == "old"
    inbox.put("depth", "waits for ever", 1001 * MS)
    inbox.put_image("waits", 1002 * MS)
    inbox.put_image("again", 5 * MS)
    inbox.put("depth", "new", 5 * MS)
    item = taken(inbox)
    assert (item.image, item.companions) == ("again", {"depth": "new"})
    assert counts(recorder) == (1, 0)


def test_memory_is_bounded() -> None:
    recorder = Recorder()
    inbox = Inbox(recorder, ["depth"], timeout=LONG)
    for number in range(1000):
        inbox.put_image(number, number)
    assert counts(recorder)[0] == 1000 - 16


@given(st.permutations([(kind, n) for n in range(5) for kind in ("image", "depth", "detections")]))
def test_whatever_the_order_of_arrival(arrivals: Iterable[tuple[str, int]]) -> None:
    """Images in their order, companions anyhow: every image taken has exactly its own."""
    inbox = Inbox(Recorder(), ["depth", "detections"], timeout=0.0)
    images = itertools.count()
    results = []
    for kind, number in arrivals:
        if kind == "image":
            image = next(images)
            inbox.put_image(image, image)
        else:
            inbox.put(kind, number, number)
        if kind == "image":
            results.append(taken(inbox))
    assert [item.image for item in results] == list(range(5))
    for item in results:
        assert set(item.companions.values()) <= {item.image}
