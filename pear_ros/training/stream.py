# SPDX-License-Identifier: Apache-2.0
"""Batches of samples, made ahead by worker processes; lost workers and samples are counted."""

from __future__ import annotations

import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process

import cv2
import numpy as np
import numpy.typing as npt

from pear_ros.core.log import get_logger
from pear_ros.training.sample import Sample, stacked

logger = get_logger(__name__)

Maker = Callable[[int], Sample]
Arrays = dict[str, npt.NDArray[np.generic]]

_AHEAD = 3
"""Batches that workers prepare ahead."""
_MAX_LOST = 5
"""Most losses of workers after which new ones are started."""


class StreamError(RuntimeError):
    """No more batches can be made; the message has the reason."""


@dataclass(frozen=True)
class Batch:
    """Samples as arrays."""

    indices: list[int]
    """Index of each sample."""
    arrays: Arrays
    """By field of Sample, with a first axis of samples."""


@dataclass(frozen=True)
class Shares:
    """Which samples each process of a training takes: every one takes its share of each batch."""

    batch: int
    """Samples of a batch in one process."""
    rank: int = 0
    """This process."""
    processes: int = 1
    """All processes."""

    def indices(self, batch: int) -> list[int]:
        """Return the indices of the samples of batch number `batch`, in this process."""
        first = (batch * self.processes + self.rank) * self.batch
        return [*range(first, first + self.batch)]


class SampleStream:
    """Batches number `first` and on: an iterator, the same for any number of workers."""

    def __init__(self, make: Callable[[], Maker], shares: Shares, first: int, workers: int) -> None:
        """`make` returns what makes samples, called once in each worker; it must be picklable.

        `workers`: processes; 0: samples are made in this one.
        """
        self.damaged = 0
        """Samples that could not be made and were left out."""
        self.lost = 0
        """Times that workers were lost and started again."""
        self._make, self._shares, self._workers = make, shares, workers
        self._next = first
        self._pool: ProcessPoolExecutor | None = None
        self._ahead: deque[tuple[int, list[Future[Sample | str]]]] = deque()
        self._maker = make() if not workers else None

    def __iter__(self) -> Iterator[Batch]:
        """Return itself."""
        return self

    def __next__(self) -> Batch:
        """Return the next batch.

        Raises StreamError where all its samples are damaged, or workers are lost again and again.
        """
        indices = self._shares.indices(self._next)
        if self._maker is not None:
            found = [_attempt(self._maker, index) for index in indices]
        else:
            found = self._collect(indices)
        self._next += 1
        good = [(i, s) for i, s in zip(indices, found, strict=True) if isinstance(s, Sample)]
        for index, fault in zip(indices, found, strict=True):
            if isinstance(fault, str):
                self.damaged += 1
                logger.warning("Sample %d is left out: %s", index, fault)
        if not good:
            raise StreamError(f"none of the samples {indices[0]} to {indices[-1]} can be made")
        return Batch([i for i, _ in good], stacked([s for _, s in good]))

    def close(self) -> None:
        """End the workers."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        self._ahead.clear()

    def _collect(self, indices: list[int]) -> list[Sample | str]:
        while True:
            try:
                self._submit()
                number, futures = self._ahead[0]
                assert number == self._next
                found = [future.result() for future in futures]
                self._ahead.popleft()
                return found
            except BrokenProcessPool as error:
                self.lost += 1
                self.close()
                if self.lost > _MAX_LOST:
                    raise StreamError(
                        f"workers that make samples ended {self.lost} times, at last with samples "
                        f"{indices[0]} to {indices[-1]}: is there enough memory for "
                        f"{self._workers}?"
                    ) from error
                logger.warning("A worker that makes samples was lost; all are started again")

    def _submit(self) -> None:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._workers,
                mp_context=get_context("spawn"),
                initializer=_prepare_worker,
                initargs=(self._make,),
            )
        first = self._ahead[-1][0] + 1 if self._ahead else self._next
        for number in range(first, self._next + _AHEAD):
            indices = self._shares.indices(number)
            self._ahead.append((number, [self._pool.submit(_sample, i) for i in indices]))


_made: list[Maker] = []
"""What makes samples in this worker."""


def _prepare_worker(make: Callable[[], Maker]) -> None:
    """Prepare a worker, which leaves Ctrl-C to its parent, and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    _made[:] = [make()]


def _end_with_parent() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)


def _sample(index: int) -> Sample | str:
    return _attempt(_made[0], index)


def _attempt(make: Maker, index: int) -> Sample | str:
    """Return a sample, or why there is none."""
    try:
        return make(index)
    except Exception as error:  # One of millions: whatever it is, the others go on.
        return f"{error or type(error).__name__}"
