# SPDX-License-Identifier: Apache-2.0
"""Prefetching is bounded by bytes as well as by number."""

from __future__ import annotations

import threading

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
