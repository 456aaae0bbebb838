# SPDX-License-Identifier: Apache-2.0
"""Work on what comes next, in a thread, while somebody is busy with what came before."""

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
    """work(item) of all items, in their order, at most `ahead` of them beforehand.

    Both iteration and work happen in one thread of their own, which ends with the iterator. What
    they raise is raised here, after the results that came before.
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
