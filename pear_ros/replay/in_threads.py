# SPDX-License-Identifier: Apache-2.0
"""Replay in threads of this process, several pieces at once."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress

from pear_ros.core.blas import OneBlasThread
from pear_ros.replay.events import Event, Piece
from pear_ros.replay.job import Build, Job
from pear_ros.replay.trial import try_after_kill
from pear_ros.replay.worker import Worker
from pear_ros.ros.pipelines import build_pipelines

_PATIENCE_SECONDS = 1.0
"""Time that threads get to end in order."""


def replay_in_threads(
    pieces: Sequence[Piece], job: Job, *, count: int = 1, build: Build = build_pipelines
) -> Generator[Event, None, None]:
    """Replay `pieces`, up to `count` at once, in threads that end with the iterator.

    A thread that takes longer over an image is left behind, with its pipeline: it ends with the
    process.
    With PEAR the people in images of several threads are one batch of the network. Raises what
    `build` raises.
    """
    pieces = yield from try_after_kill(pieces, job, build)
    if not pieces:
        return
    pipelines = build(job.parameters, min(count, len(pieces)))
    threads: list[threading.Thread] = []
    try:
        with OneBlasThread():  # Set once, not for each image.
            yield from _run([Worker(pipeline, job) for pipeline in pipelines], pieces, threads)
    finally:
        if not any(thread.is_alive() for thread in threads):
            for pipeline in pipelines:
                pipeline.close()


def _run(
    workers: Sequence[Worker], pieces: Sequence[Piece], threads: list[threading.Thread]
) -> Iterator[Event]:
    """Replay in new threads, which are appended to `threads`."""
    events: queue.SimpleQueue[Event | BaseException | None] = queue.SimpleQueue()
    todo: queue.SimpleQueue[Piece] = queue.SimpleQueue()
    for piece in pieces:
        todo.put(piece)
    stop = threading.Event()

    def work(worker: Worker) -> None:
        try:
            with suppress(queue.Empty):
                while not stop.is_set():
                    worker(todo.get_nowait(), events.put, stop.is_set)
        except BaseException as error:
            events.put(error)
        finally:
            events.put(None)

    threads += [threading.Thread(target=work, args=(one,), daemon=True) for one in workers]
    try:
        for thread in threads:
            thread.start()
        left = len(threads)
        while left:
            event = events.get()
            if isinstance(event, BaseException):
                raise event
            if event is None:
                left -= 1
            else:
                yield event
    finally:
        stop.set()
        until = time.monotonic() + _PATIENCE_SECONDS
        for thread in threads:
            thread.join(max(until - time.monotonic(), 0.0))
