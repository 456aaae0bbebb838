# SPDX-License-Identifier: Apache-2.0
"""One network for several threads: people they want looked at at the same time are one batch.

What is said of somebody must not depend on who else is in the batch, to the last bit. Where a
runtime cannot promise that, each image goes through the network alone.
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
from pear_ros.pear.runtimes.cpu import KeptCrops
from pear_ros.pear.runtimes.reference_crops import bundled_crops
from pear_ros.pear.runtimes.runtime import CropRuntime, Runtime

_WINDOW_S = 0.01
"""How long an image waits for others to share its batch: far less than the network takes on a
CPU."""

logger = get_logger(__name__)


def join(runtime: Runtime, count: int, most: int) -> list[Runtime]:
    """`count` runtimes, each for a thread of its own, that share `runtime`.

    Each gives exactly what `runtime` gives for the same image. Several images share a batch of up
    to `most` people where `independent_of_batch` allows it, which takes a while to find out; else
    they take turns, as the log says. `runtime` is closed with the last of them.
    """
    if count == 1:
        return [runtime]
    if isinstance(runtime, CropRuntime) and independent_of_batch(runtime, most):
        meeting = _Meeting(runtime, count, most)
        return [_Joined(meeting) for _ in range(count)]
    logger.warning(
        "Images go through the network one by one, as on %s what is said of somebody may depend on"
        " who else is in the batch",
        runtime.info,
    )
    turns = _Shared(runtime, count)
    return [_TakingTurns(turns) for _ in range(count)]


def independent_of_batch(runtime: CropRuntime, most: int) -> bool:
    """Whether `runtime` says the same of everybody, bit by bit, alone and in batches of any size
    up to `most`; looked up on the bundled people. Raises what `infer_crops` does.

    Libraries choose how to compute by a batch's size, so every size counts, and each place in it.
    Scales that are found for a batch as a whole depend on who is in it: so they are different
    people, each with different others.
    """
    people = bundled_crops()
    alone = np.concatenate([runtime.infer_crops(people[[who]]) for who in range(len(people))])
    for size in range(2, most + 1):
        who = (size + np.arange(size)) % len(people)
        if runtime.infer_crops(people[who]).tobytes() != alone[who].tobytes():
            return False
    return True


class _Shared:
    """A runtime that several threads share; closed when all have left."""

    def __init__(self, runtime: Runtime, users: int) -> None:
        self.runtime = runtime
        self.turn = threading.Lock()
        """Held by whoever uses the runtime."""
        self._users = users
        self._changed = threading.Condition()

    def leave(self) -> None:
        """One user less."""
        with self._changed:
            self._users -= 1
            last = self._users == 0
            self._changed.notify()
        if last:
            self._end()
            self.runtime.close()

    def _end(self) -> None:
        """Nobody will ask for anything any more."""


class _TakingTurns:
    """A Runtime for one thread, whose images go through a shared network alone."""

    def __init__(self, shared: _Shared) -> None:
        self.info = shared.runtime.info
        self._shared = shared
        self._open = True

    def infer(self, image: Image, places: Squares) -> Array:
        """See Runtime."""
        assert self._open, "closed"
        with self._shared.turn:
            return self._shared.runtime.infer(image, places)

    def warmup(self, people: int) -> None:
        """See Runtime."""
        with self._shared.turn:
            self._shared.runtime.warmup(people)

    def memory(self) -> tuple[int, int] | None:
        """See Runtime."""
        return self._shared.runtime.memory()

    def close(self) -> None:
        """See Runtime; frees something when the others are closed, too."""
        if self._open:
            self._open = False
            self._shared.leave()


class _Joined(_TakingTurns):
    """A Runtime for one thread, whose people share a batch with those of other threads."""

    def __init__(self, meeting: _Meeting) -> None:
        super().__init__(meeting)
        self._meeting = meeting
        self._crop = KeptCrops()

    def infer(self, image: Image, places: Squares) -> Array:
        """See Runtime. Raises ValueError for squares with NaN, which concerns nobody else."""
        assert self._open, "closed"
        if len(places) == 0:
            return np.empty((0, VECTOR_SIZE), np.float32)
        return self._meeting.infer(self._crop(image, places))


@dataclass(frozen=True)
class _Request:
    """The people of one image."""

    crops: Crops
    answer: Future[Array] = field(default_factory=Future)
    deadline: float = field(default_factory=lambda: time.monotonic() + _WINDOW_S)
    """Others are waited for until then."""


class _Meeting(_Shared):
    """Where requests of several threads meet; a thread of its own runs the network on them."""

    def __init__(self, runtime: CropRuntime, users: int, most: int) -> None:
        super().__init__(runtime, users)
        self._network = runtime
        self._most = most
        self._requests: deque[_Request] = deque()
        # What is not closed must not keep the process from its end.
        self._thread = threading.Thread(target=self._serve, name="network", daemon=True)
        self._thread.start()

    def infer(self, crops: Crops) -> Array:
        """(B, VECTOR_SIZE) for (B, 256, 256, 3), which stay as they are meanwhile."""
        request = _Request(crops)
        with self._changed:
            self._requests.append(request)
            self._changed.notify()
        return request.answer.result()

    def _end(self) -> None:
        self._thread.join()

    def _serve(self) -> None:
        while batch := self._next_batch():
            try:
                answers = self._run([request.crops for request in batch])
            except BaseException as error:  # Whatever it is, whoever waits has to hear of it.
                for request in batch:
                    request.answer.set_exception(error)
            else:
                for request, answer in zip(batch, answers, strict=True):
                    request.answer.set_result(answer)

    def _next_batch(self) -> list[_Request]:
        """Those whose turn it is, first come, first served; none when all have left."""
        with self._changed:
            self._changed.wait_for(lambda: self._requests or not self._users)
            if self._requests:
                left = self._requests[0].deadline - time.monotonic()
                self._changed.wait_for(self._complete, left)
            batch: list[_Request] = []
            room = self._most
            # More people than that in one image are left to the runtime, as if it were not shared.
            while self._requests and (not batch or len(self._requests[0].crops) <= room):
                batch.append(self._requests.popleft())
                room -= len(batch[-1].crops)
            return batch

    def _complete(self) -> bool:
        """Whether nobody else has to be waited for."""
        people = sum(len(request.crops) for request in self._requests)
        return len(self._requests) >= self._users or people >= self._most

    def _run(self, images: Sequence[Crops]) -> list[Array]:
        """The numbers for the people of each image."""
        crops = images[0] if len(images) == 1 else np.concatenate(images)
        with self.turn:
            vectors = self._network.infer_crops(crops)
        ends = accumulate(len(one) for one in images)
        return np.split(vectors, list(ends)[:-1])
