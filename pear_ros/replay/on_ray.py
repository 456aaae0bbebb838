# SPDX-License-Identifier: Apache-2.0
"""Pieces of bags replayed by workers of Ray (ray.io), on this machine or on many.

All machines see bags and results under the same paths, as on a network's file system. Each worker
has its own pipelines. Where one is lost Ray starts another, which goes on with its pieces from what
they have kept: results are those of one process.
"""

from __future__ import annotations

import logging
import os
import queue
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from typing import Any

import ray
from ray.util.queue import Empty, Queue
from threadpoolctl import threadpool_limits

from pear_ros.replay.job import Build, Event, Failed, Finished, Job, Piece, Worker, WorkersError
from pear_ros.ros.node.node import build_pipelines

_RETRIES = 3
"""Of a piece whose worker was lost: more often, and it may be the piece that kills them."""
_POLL_SECONDS = 0.2


def replay_by_ray(
    pieces: Sequence[Piece],
    job: Job,
    *,
    count: int = 1,
    address: str | None = None,
    workers: int | None = None,
    build: Build = build_pipelines,
) -> Generator[Event, None, None]:
    """Replay `pieces`, up to `count` at once in each worker.

    `address`: of the Ray to use; None: one that runs on this machine, else one is started for the
    time being. `workers`: None: one for each GPU of it, or for every two processors where there
    are none. Raises WorkersError.
    """
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # What it raises depends on what is wrong.
        raise WorkersError(
            f"Ray cannot be had{f' at {address}' if address else ''}: {error}"
        ) from error
    try:
        yield from _run(deque(pieces), job, count, build, workers)
    finally:
        ray.shutdown()


def _run(
    todo: deque[Piece], job: Job, count: int, build: Build, workers: int | None
) -> Iterator[Event]:
    events = Queue()
    starting = _start_workers(len(todo), job, count, build, workers)
    idle: list[Any] = []
    busy: dict[Any, tuple[Any, Piece]] = {}
    while todo or busy:
        while todo and idle:
            worker, piece = idle.pop(), todo.popleft()
            busy[worker.replay.remote(piece, events)] = worker, piece
        done, _ = ray.wait([*starting, *busy], timeout=_POLL_SECONDS)
        yield from _told(events)
        for reference in done:
            if reference in starting:
                idle += [_started(reference, starting.pop(reference))] * count
                continue
            worker, piece = busy.pop(reference)
            idle.append(worker)
            try:
                yield ray.get(reference)
            except ray.exceptions.RayError as error:
                yield Failed(piece, f"{piece.source}: its worker failed: {error}")


def _start_workers(
    pieces: int, job: Job, count: int, build: Build, wanted: int | None
) -> dict[Any, Any]:
    """Workers, by what tells that they have started: where there is no room yet, that is late."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    gpus, cpus = resources.get("GPU", 0), resources.get("CPU", 1)
    number = min(wanted or int(gpus or max(cpus // 2, 1)), pieces)
    kind: Any = ray.remote(_Actor)
    kind = kind.options(
        num_cpus=1,
        num_gpus=min(gpus / number, 1),
        scheduling_strategy="SPREAD",
        max_concurrency=count,
        max_restarts=-1,
        max_task_retries=_RETRIES,
    )
    workers = [kind.remote(job, count, build) for _ in range(number)]
    return {worker.__ray_ready__.remote(): worker for worker in workers}


def _started(reference: Any, worker: Any) -> Any:
    """The worker. Raises WorkersError where it could not start."""
    try:
        ray.get(reference)
    except ray.exceptions.RayError as error:
        raise WorkersError(f"A worker of Ray cannot start: {error}") from error
    return worker


def _told(events: Queue) -> Iterator[Event]:
    """What workers have told by now."""
    with suppress(Empty):
        yield from events.get_nowait_batch(events.qsize())


class _Actor:
    """A worker process."""

    def __init__(self, job: Job, count: int, build: Build) -> None:
        # Ray has set it to 1, which would slow torch down, and change how it sums.
        os.environ.pop("OMP_NUM_THREADS", None)
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for pipeline in build(job.parameters, count):
            self._idle.put(Worker(pipeline, job))
        threadpool_limits(1, "blas")  # As in one process, see replay_here.

    def replay(self, piece: Piece, events: Queue) -> Finished | Failed:
        """How it ended; what else there is to tell goes to `events`."""
        worker = self._idle.get()
        ends: list[Finished | Failed] = []

        def tell(event: Event) -> None:
            if isinstance(event, Finished | Failed):
                ends.append(event)
            else:
                events.put(event)

        try:
            worker(piece, tell, lambda: False)
        finally:
            self._idle.put(worker)
        return ends[0]
