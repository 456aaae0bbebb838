# SPDX-License-Identifier: Apache-2.0
"""Replay by workers of Ray (ray.io), on this machine or on many.

All machines need bags and results under the same paths, as on a network file system. Each worker
has its own pipelines. If a worker is lost, Ray starts another one, which resumes its pieces from
their last snapshots: the results are those of one process.
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

from pear_ros.core.blas import OneBlasThread
from pear_ros.core.estimator import DeviceLostError
from pear_ros.replay.events import Event, Failed, Finished, Piece
from pear_ros.replay.job import Build, Job, WorkersError
from pear_ros.replay.trial import try_after_kill
from pear_ros.replay.worker import Worker
from pear_ros.ros.pipelines import build_pipelines

_RETRIES = 3
"""Attempts after a worker was lost; more would not help if the piece itself kills workers."""
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

    `address`: that of a Ray cluster; None: the one of this machine, which is started if there is
    none. `workers`: their number; None: one for each GPU, or for every two processors if there is
    no GPU. Raises WorkersError.
    """
    pieces = yield from try_after_kill(pieces, job, build)
    if not pieces:
        return
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # What it raises depends on what is wrong.
        raise WorkersError(
            f"Ray is not available{f' at {address}' if address else ''}: {error}"
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
        yield from _reported(events)
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
    pieces: int, job: Job, count: int, build: Build, requested: int | None
) -> dict[Any, Any]:
    """Workers by the reference that becomes ready when they have started."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    gpus, cpus = resources.get("GPU", 0), resources.get("CPU", 1)
    number = min(requested or int(gpus or max(cpus // 2, 1)), pieces)
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
    """The worker of a ready `reference`. Raises WorkersError if it could not start."""
    try:
        ray.get(reference)
    except ray.exceptions.RayError as error:
        raise WorkersError(f"A worker of Ray cannot start: {error}") from error
    return worker


def _reported(events: Queue) -> Iterator[Event]:
    """Events that workers have reported by now."""
    with suppress(Empty):
        yield from events.get_nowait_batch(events.qsize())


class _Actor:
    """A worker process."""

    def __init__(self, job: Job, count: int, build: Build) -> None:
        # Ray sets it to 1, which would slow torch down and change the order of its sums.
        os.environ.pop("OMP_NUM_THREADS", None)
        self._idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        for pipeline in build(job.parameters, count):
            self._idle.put(Worker(pipeline, job))
        self._one_blas_thread = OneBlasThread()  # After `build`, which loads the libraries.

    def replay(self, piece: Piece, events: Queue) -> Finished | Failed:
        """Replay `piece`; return how it ended, and put all other events into `events`."""
        worker = self._idle.get()
        ends: list[Finished | Failed] = []

        def report(event: Event) -> None:
            if isinstance(event, Finished | Failed):
                ends.append(event)
            else:
                events.put(event)

        try:
            with self._one_blas_thread:  # Set once, not for each image.
                worker(piece, report, lambda: False)
        except DeviceLostError:
            os._exit(1)  # Ray starts a new process, which resumes the piece.
        finally:
            self._idle.put(worker)
        return ends[0]
