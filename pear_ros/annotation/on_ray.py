# SPDX-License-Identifier: Apache-2.0
"""Annotation by workers of Ray (ray.io), on this machine or on many, one source at a time each.

All machines need inputs and shards under the same paths. If a worker is lost, another one takes up
its source at the first shard that is not finished: shards are those of one process.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any

import ray

from pear_ros.annotation.job import Job
from pear_ros.annotation.sources import LabelledSource
from pear_ros.annotation.worker import Ended, OutputError, Worker
from pear_ros.replay.job import WorkersError

_RETRIES = 3
"""Attempts after a worker was lost; more would not help if the source itself kills workers."""


def annotate_by_ray(
    sources: Sequence[LabelledSource],
    job: Job,
    *,
    address: str | None = None,
    workers: int | None = None,
) -> Iterator[Ended]:
    """Yield how each source ended, in the order in which they end.

    `address`: that of a Ray cluster; None: the one of this machine, which is started if there is
    none. `workers`: their number; None: one for every two processors. Raises
    pear_ros.replay.job.WorkersError, OutputError.
    """
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # What it raises depends on what is wrong.
        where = f" at {address}" if address else ""
        raise WorkersError(f"Ray is not available{where}: {error}") from error
    try:
        yield from _run(list(sources), job, workers)
    finally:
        ray.shutdown()


def _run(todo: list[LabelledSource], job: Job, workers: int | None) -> Iterator[Ended]:
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    number = min(workers or int(max(resources.get("CPU", 1) // 2, 1)), len(todo))
    options = {
        "num_cpus": 1,
        "scheduling_strategy": "SPREAD",
        "max_restarts": -1,
        "max_task_retries": _RETRIES,
    }
    kind: Any = ray.remote(_Actor)
    idle = [kind.options(**options).remote(job) for _ in range(number)]
    busy: dict[Any, tuple[Any, str]] = {}
    todo.reverse()
    while todo or busy:
        while todo and idle:
            worker, source = idle.pop(), todo.pop()
            busy[worker.annotate.remote(source)] = worker, source.source.name
        (done,), _ = ray.wait(list(busy))
        worker, name = busy.pop(done)
        idle.append(worker)
        yield _result(done, name)


def _result(reference: Any, name: str) -> Ended:
    try:
        ended: Ended = ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        raise OutputError(str(error.cause)) from error
    except ray.exceptions.RayError as error:
        raise WorkersError(f"the worker of {name} failed: {error}") from error
    return ended


class _Actor:
    """A worker process."""

    def __init__(self, job: Job) -> None:
        # Ray sets it to 1, which would change the order of sums.
        os.environ.pop("OMP_NUM_THREADS", None)
        self._worker = Worker(job)

    def annotate(self, source: LabelledSource) -> Ended:
        """Annotate a source and return how it ended."""
        return self._worker(source, lambda _: None)
