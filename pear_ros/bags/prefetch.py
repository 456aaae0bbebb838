# SPDX-License-Identifier: Apache-2.0
"""Prefetching: a thread processes the next items while the caller uses the current one."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetched(
    items: Iterable[Item],
    work: Callable[[Item], Result],
    ahead: int,
    size: Callable[[Result], int] = lambda result: 0,
    max_bytes: int = 0,
) -> Generator[Result, None, None]:
    """Yield work(item) for all items, in their order, computing at most `ahead` of them in advance.

    `size` returns the bytes of a result; no further result is computed while those that wait have
    more than `max_bytes` together. A single thread iterates over the items and does the work; it
    ends with the generator. An exception is raised here, after the results before it.
    """
    done: deque[tuple[Result, int] | BaseException | None] = deque()
    changed = threading.Condition()
    stopped = False
    waiting = 0
    """Bytes of the results in `done`."""

    def put(result: tuple[Result, int] | BaseException | None) -> None:
        nonlocal waiting
        with changed:
            waiting += result[1] if isinstance(result, tuple) else 0
            done.append(result)
            changed.notify_all()
            changed.wait_for(lambda: stopped or (len(done) < ahead and waiting <= max_bytes))

    def run() -> None:
        try:
            for item in items:
                result = work(item)
                put((result, size(result)))
                if stopped:
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=run, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            with changed:
                changed.wait_for(lambda: bool(done))
                result = done.popleft()
                waiting -= result[1] if isinstance(result, tuple) else 0
                changed.notify_all()
            if result is None:
                return
            if isinstance(result, BaseException):
                raise result
            yield result[0]
    finally:
        with changed:
            stopped = True
            changed.notify_all()
        thread.join()
