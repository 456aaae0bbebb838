# SPDX-License-Identifier: Apache-2.0
"""One runtime shared by several threads: concurrent requests are merged into one batch.

A person's result must not depend on who else is in the batch, to the last bit. Where a runtime is
not batch-invariant, each image is inferred alone.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from pear_ros.core.log import get_logger
from pear_ros.core.people import Array, Image
from pear_ros.pear.crop import Crops, Squares
from pear_ros.pear.prediction import VECTOR_SIZE
from pear_ros.pear.runtimes.cpu import CropBuffer
from pear_ros.pear.runtimes.reference_crops import bundled_crops
from pear_ros.pear.runtimes.runtime import CropRuntime, Runtime

_BATCH_WINDOW = 0.01
"""Seconds that a request waits for others to share its batch: far less than the network takes on a
CPU."""

logger = get_logger(__name__)


def share_runtime(runtime: Runtime, count: int, max_batch: int) -> list[Runtime]:
    """Return `count` runtimes, each for a thread of its own, that share `runtime`.

    Each returns exactly what `runtime` returns for the same image. Several images share a batch of
    up to `max_batch` people where `is_batch_invariant` holds, which is measured here; otherwise
    they are inferred one after the other, which is logged. `runtime` is closed with the last of
    them.

    Raises what `runtime.infer_crops` raises.
    """
    if count == 1:
        return [runtime]
    if isinstance(runtime, CropRuntime) and is_batch_invariant(runtime, max_batch):
        batcher = _Batcher(runtime, count, max_batch)
        return [_BatchedRuntime(batcher) for _ in range(count)]
    logger.warning(
        "Images are inferred one by one: on %s a person's result may depend on the others in the"
        " batch",
        runtime.info,
    )
    shared = _SharedRuntime(runtime, count)
    return [_SerialRuntime(shared) for _ in range(count)]


def is_batch_invariant(runtime: CropRuntime, max_batch: int) -> bool:
    """Return whether `runtime` gives each person the same bits alone and in any batch.

    Measured with the bundled crops for all batch sizes from 2 to `max_batch`. Libraries choose
    kernels by batch size, so every size and each position in it is compared. Scales that are
    computed for a batch as a whole, as in dynamic quantisation, depend on who is in it, so batches
    consist of different people.

    Raises what `runtime.infer_crops` raises.
    """
    crops = bundled_crops()
    alone = np.concatenate([runtime.infer_crops(crops[[n]]) for n in range(len(crops))])
    for size in range(2, max_batch + 1):
        batch = (size + np.arange(size)) % len(crops)
        if runtime.infer_crops(crops[batch]).tobytes() != alone[batch].tobytes():
            return False
    return True


class _SharedRuntime:
    """A runtime with several users; closed when the last one has left."""

    def __init__(self, runtime: Runtime, users: int) -> None:
        self.runtime = runtime
        self.lock = threading.Lock()
        """Held while the runtime is in use."""
        self._users = users
        self._changed = threading.Condition()

    def leave(self) -> None:
        """Count one user less."""
        with self._changed:
            self._users -= 1
            last = self._users == 0
            self._changed.notify()
        if last:
            self._stop()
            self.runtime.close()

    def _stop(self) -> None:
        """End what runs in the background; called once, after the last request."""


class _SerialRuntime:
    """A Runtime for one thread: images are inferred alone by the shared runtime."""

    def __init__(self, shared: _SharedRuntime) -> None:
        self.info = shared.runtime.info
        self._shared = shared
        self._open = True

    def infer(self, image: Image, places: Squares) -> Array:
        assert self._open, "closed"
        with self._shared.lock:
            return self._shared.runtime.infer(image, places)

    def warmup(self, people: int) -> None:
        with self._shared.lock:
            self._shared.runtime.warmup(people)

    def memory(self) -> tuple[int, int] | None:
        return self._shared.runtime.memory()

    def close(self) -> None:
        if self._open:
            self._open = False
            self._shared.leave()


class _BatchedRuntime(_SerialRuntime):
    """A Runtime for one thread: people share a batch with those of other threads."""

    def __init__(self, batcher: _Batcher) -> None:
        super().__init__(batcher)
        self._batcher = batcher
        self._crop = CropBuffer()

    def infer(self, image: Image, places: Squares) -> Array:
        assert self._open, "closed"
        if len(places) == 0:
            return np.empty((0, VECTOR_SIZE), np.float32)
        # Cropped here, so that an error in one request concerns no other.
        return self._batcher.infer(self._crop(image, places))


@dataclass(frozen=True)
class _Request:
    crops: Crops
    """(B, 256, 256, 3) crops of the people of one image."""
    result: Future[Array] = field(default_factory=Future)
    deadline: float = field(default_factory=lambda: time.monotonic() + _BATCH_WINDOW)
    """Monotonic time until which the request waits for others, seconds."""


class _Batcher(_SharedRuntime):
    """Merges requests of several threads into batches; a thread of its own infers them."""

    def __init__(self, runtime: CropRuntime, users: int, max_batch: int) -> None:
        super().__init__(runtime, users)
        self._network = runtime
        self._max_batch = max_batch
        self._requests: deque[_Request] = deque()
        # A daemon: a runtime that was not closed must not keep the process alive.
        self._thread = threading.Thread(target=self._serve, name="network", daemon=True)
        self._thread.start()

    def infer(self, crops: Crops) -> Array:
        """Return (B, VECTOR_SIZE) for crops (B, 256, 256, 3), which must not change meanwhile."""
        request = _Request(crops)
        with self._changed:
            self._requests.append(request)
            self._changed.notify()
        return request.result.result()

    def _stop(self) -> None:
        self._thread.join()

    def _serve(self) -> None:
        while batch := self._next_batch():
            try:
                results = self._infer_batch([request.crops for request in batch])
            except BaseException as error:  # Any error: each thread waits for a result.
                for request in batch:
                    request.result.set_exception(error)
            else:
                for request, result in zip(batch, results, strict=True):
                    request.result.set_result(result)

    def _next_batch(self) -> list[_Request]:
        """Return the next requests, first come, first served; none when all users have left."""
        with self._changed:
            self._changed.wait_for(lambda: self._requests or not self._users)
            if self._requests:
                left = self._requests[0].deadline - time.monotonic()
                self._changed.wait_for(self._is_complete, left)
            batch: list[_Request] = []
            room = self._max_batch
            # An image with more people than that is a batch of its own, as without sharing.
            while self._requests and (not batch or len(self._requests[0].crops) <= room):
                batch.append(self._requests.popleft())
                room -= len(batch[-1].crops)
            return batch

    def _is_complete(self) -> bool:
        """Return whether the batch is full, or every user has a request in it."""
        people = sum(len(request.crops) for request in self._requests)
        return len(self._requests) >= self._users or people >= self._max_batch

    def _infer_batch(self, images: Sequence[Crops]) -> list[Array]:
        """Return (B, VECTOR_SIZE) for the people of each image."""
        crops = images[0] if len(images) == 1 else np.concatenate(images)
        with self.lock:
            vectors = self._network.infer_crops(crops)
        ends = accumulate(len(one) for one in images)
        return np.split(vectors, list(ends)[:-1])
