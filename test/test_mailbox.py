# SPDX-License-Identifier: Apache-2.0
"""The one-slot mailbox: the newest wins, and closing ends every wait."""

from __future__ import annotations

import threading

from pear_ros.ros.mailbox import Mailbox


def test_the_newest_item_wins() -> None:
    box: Mailbox[int] = Mailbox()
    assert [box.put(item) for item in (1, 2, 3)] == [False, True, True]
    assert box.take() == 3
    assert box.put(4) is False


def test_take_waits_for_an_item() -> None:
    box: Mailbox[str] = Mailbox()
    threading.Timer(0.01, box.put, ["late"]).start()
    assert box.take() == "late"


def test_close_ends_a_wait_and_all_later_ones() -> None:
    box: Mailbox[int] = Mailbox()
    taken: list[int | None] = []
    thread = threading.Thread(target=lambda: taken.append(box.take()))
    thread.start()
    box.close()
    thread.join(timeout=10)
    assert taken == [None]
    box.put(1)
    assert box.take() is None
