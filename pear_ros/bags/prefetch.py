# SPDX-License-Identifier: Apache-2.0
"""Prefetching: a thread processes the next items while the caller uses the current one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_POLL_SECONDS = 0.1


def prefetched(
    items: Iterable[Item], work: Callable[[Item], Result], ahead: int
) -> Generator[Result, None, None]:
    """Yield work(item) for all items, in their order, computing at most `ahead` of them in advance.

    A single thread iterates over the items and does the work; it ends with the generator. An
    exception is raised here, after the results before it.
    """
    done: queue.Queue[tuple[Result] | BaseException | None] = queue.Queue(ahead)
    stopped = threading.Event()

    def put(result: tuple[Result] | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                return done.put(result, timeout=_POLL_SECONDS)
            except queue.Full:
                continue

    def run() -> None:
        try:
            for item in items:
                put((work(item),))
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=run, name="prefetch", daemon=True)
    thread.start()
    try:
        while (result := done.get()) is not None:
            if isinstance(result, BaseException):
                raise result
            yield result[0]
    finally:
        stopped.set()
        thread.join()
