# SPDX-License-Identifier: Apache-2.0
"""Prefetched results: in order, and bounded by bytes as well as by number."""

from __future__ import annotations

import threading

import pytest

from pear_ros.bags.prefetch import prefetched


def ahead_of_the_first(size: int, max_bytes: int) -> int:
    """How many results are computed while the first is in use, of up to ten."""
    computed: list[int] = []
    more = threading.Event()

    def work(item: int) -> int:
        computed.append(item)
        if len(computed) > 1 + max_bytes // size:
            more.set()
        return item

    results = prefetched(range(100), work, 10, lambda item: size, max_bytes)
    assert next(results) == 0
    more.wait(timeout=5)
    count = len(computed) - 1
    assert list(results) == list(range(1, 100))
    return count


def test_large_results_are_not_computed_far_ahead() -> None:
    assert ahead_of_the_first(size=100, max_bytes=250) == 3
    assert ahead_of_the_first(size=1000, max_bytes=250) == 1


def test_prefetched_keeps_the_order_and_stops() -> None:
    done: list[int] = []

    def work(item: int) -> int:
        done.append(item)
        return item * item

    results = prefetched(range(1000), work, 3)
    assert [next(results) for _ in range(4)] == [0, 1, 4, 9]
    results.close()
    assert len(done) <= 10
    assert list(prefetched(range(5), work, 1)) == [0, 1, 4, 9, 16]


def test_prefetched_raises_after_earlier_results() -> None:
    results = prefetched([4, 2, 0, 1], lambda item: 8 // item, 9)
    assert [next(results), next(results)] == [2, 4]
    with pytest.raises(ZeroDivisionError):
        next(results)
