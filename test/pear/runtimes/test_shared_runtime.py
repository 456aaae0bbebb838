# SPDX-License-Identifier: Apache-2.0
"""A runtime shared by several threads: bits, batches, errors and closing."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import numpy as np
import pytest

from pear_ros.core.people import Array, Image
from pear_ros.pear.crop import Crops, Squares, crop_pixels
from pear_ros.pear.prediction import VECTOR_SIZE
from pear_ros.pear.runtimes import shared_runtime
from pear_ros.pear.runtimes.runtime import Runtime, RuntimeInfo
from pear_ros.pear.runtimes.shared_runtime import is_batch_invariant, share_runtime

IMAGE = np.random.default_rng(1).integers(0, 256, (300, 400, 3), np.uint8)
TIMEOUT = 30.0
"""Timeout that is reached only if a thread waits forever, seconds."""


class Fake:
    """Returns some pixels of each person; used by one thread at a time."""

    info = RuntimeInfo("onnxruntime", "1", "CPU", "fp32", "0123", None)

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.closed = 0
        self.fault: Exception | None = None
        self._in_use = threading.Lock()

    def infer(self, image: Image, places: Squares) -> Array:
        return self.numbers(crop_pixels(image, places))

    def numbers(self, crops: Crops) -> Array:
        assert self._in_use.acquire(blocking=False), "one thread at a time"
        try:
            self.batches.append(len(crops))
            if self.fault:
                raise self.fault
            return self.seen(crops)
        finally:
            self._in_use.release()

    def seen(self, crops: Crops) -> Array:
        return crops.reshape(len(crops), -1)[:, : 200 * VECTOR_SIZE : 200].astype(np.float32)

    def warmup(self, people: int) -> None:
        self.infer(IMAGE, places(people))

    def memory(self) -> tuple[int, int] | None:
        return 1, 2

    def close(self) -> None:
        self.closed += 1


class FakeOfCrops(Fake):
    """A batch-invariant runtime."""

    def infer_crops(self, crops: Crops) -> Array:
        return self.numbers(crops)


class DependentOnSize(FakeOfCrops):
    """Computes differently for a batch of five."""

    def seen(self, crops: Crops) -> Array:
        return super().seen(crops) * np.float32(1.0 + 1e-7 * (len(crops) == 5))


class DependentOnCompany(FakeOfCrops):
    """Has one scale for the batch, as quantised networks have."""

    def seen(self, crops: Crops) -> Array:
        return super().seen(crops) / np.float32(crops.mean())


class DependentOnPlace(FakeOfCrops):
    """Computes the sixth person differently."""

    def seen(self, crops: Crops) -> Array:
        vectors = super().seen(crops)
        vectors[5:6] += 1.0
        return vectors


def places(people: int, seed: int = 0) -> Squares:
    """Squares to crop, somewhere in IMAGE."""
    generator = np.random.default_rng(seed)
    return np.column_stack(
        [generator.uniform(0, 200, (people, 2)), generator.uniform(50, 150, people)]
    )


def ask(runtimes: Sequence[Runtime], people: Sequence[int]) -> list[Future[Array]]:
    """Run one request by each runtime, concurrently; return when all have finished."""
    together = threading.Barrier(len(runtimes))

    def infer(runtime: Runtime, count: int) -> Array:
        together.wait(TIMEOUT)
        return runtime.infer(IMAGE, places(count, count))

    with ThreadPoolExecutor(len(runtimes)) as pool:
        return [pool.submit(infer, *one) for one in zip(runtimes, people, strict=True)]


def close(runtimes: Sequence[Runtime]) -> None:
    for runtime in runtimes:
        runtime.close()


@pytest.fixture
def window(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Set the time that a request waits for others."""
    return lambda seconds: monkeypatch.setattr(shared_runtime, "_BATCH_WINDOW", seconds)


@pytest.fixture
def network() -> FakeOfCrops:
    return FakeOfCrops()


@pytest.fixture
def three(
    network: FakeOfCrops, window: Callable[[float], None]
) -> Iterator[tuple[FakeOfCrops, list[Runtime]]]:
    """Three runtimes that share a network, with batches of up to four, and wait for each other."""
    window(TIMEOUT)
    runtimes = share_runtime(network, 3, 4)
    network.batches.clear()
    start = time.monotonic()
    yield network, runtimes
    close(runtimes)
    assert time.monotonic() - start < TIMEOUT, "a thread waited until the timeout"
    assert network.closed == 1
    assert "network" not in {thread.name for thread in threading.enumerate()}


Three = tuple[FakeOfCrops, list[Runtime]]


def test_shared_concurrent_requests_are_one_batch(three: Three) -> None:
    network, runtimes = three
    for people in ([1, 1, 1], [2, 1, 1], [1, 2, 1]):
        for count, answer in zip(people, ask(runtimes, people), strict=True):
            expected = Fake().infer(IMAGE, places(count, count))
            np.testing.assert_array_equal(answer.result(), expected)
    assert network.batches == [3, 4, 4]


def test_shared_batches_have_a_largest_size(three: Three) -> None:
    """Requests that exceed it come next."""
    network, runtimes = three
    with ThreadPoolExecutor() as pool:
        first = [pool.submit(runtime.infer, IMAGE, places(3)) for runtime in runtimes[:2]]
        wait(first, return_when=FIRST_COMPLETED)
        first.append(pool.submit(runtimes[2].infer, IMAGE, places(1)))
        assert [len(answer.result()) for answer in first] == [3, 3, 1]
    assert network.batches == [3, 4]


def test_shared_images_with_many_people_are_batches_of_their_own(three: Three) -> None:
    network, runtimes = three
    assert [len(answer.result()) for answer in ask(runtimes, [5, 9, 4])] == [5, 9, 4]
    assert sorted(network.batches) == [4, 5, 9]


def test_shared_request_waits_for_the_window_only(
    network: FakeOfCrops, window: Callable[[float], None]
) -> None:
    window(0.001)
    runtimes = share_runtime(network, 3, 4)
    network.batches.clear()
    start = time.monotonic()
    for runtime in runtimes:
        assert len(runtime.infer(IMAGE, places(2))) == 2
        assert runtime.infer(IMAGE, places(0)).shape == (0, VECTOR_SIZE)
    assert network.batches == [2, 2, 2]
    assert time.monotonic() - start < TIMEOUT
    close(runtimes)


def test_shared_requests_do_not_wait_for_closed_runtimes(three: Three) -> None:
    network, runtimes = three
    runtimes[2].close()
    runtimes[2].close()
    assert [len(answer.result()) for answer in ask(runtimes[:2], [1, 2])] == [1, 2]
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(runtimes[0].infer, IMAGE, places(1))
        pool.submit(runtimes[1].close).result()
        assert len(waiting.result()) == 1
    assert network.batches == [3, 1] and not network.closed
    with pytest.raises(AssertionError, match="closed"):
        runtimes[1].infer(IMAGE, places(1))


def test_shared_error_reaches_all_of_the_batch(three: Three) -> None:
    network, runtimes = three
    network.fault = RuntimeError("out of memory")
    for answer in ask(runtimes, [1, 1, 1]):
        assert answer.exception() is network.fault
    network.fault = None
    assert [len(answer.result()) for answer in ask(runtimes, [2, 1, 1])] == [2, 1, 1]


def test_shared_request_with_nan_affects_no_other(three: Three) -> None:
    _, runtimes = three
    with pytest.raises(ValueError, match="NaN"):
        runtimes[0].infer(IMAGE, places(2) * np.nan)
    assert [len(answer.result()) for answer in ask(runtimes, [1, 1, 1])] == [1, 1, 1]


@pytest.mark.parametrize(
    "make", [DependentOnSize, DependentOnCompany, DependentOnPlace, Fake], ids=lambda m: m.__name__
)
def test_shared_runtime_that_is_not_batch_invariant_runs_images_alone(
    make: type[Fake], caplog: pytest.LogCaptureFixture
) -> None:
    network = make()
    with caplog.at_level(logging.INFO, "pear_ros"):
        runtimes = share_runtime(network, 3, 8)
    assert caplog.text.count("Images are inferred one by one") == 1
    network.batches.clear()
    for count, answer in zip([2, 5, 8], ask(runtimes, [2, 5, 8]), strict=True):
        np.testing.assert_array_equal(answer.result(), make().infer(IMAGE, places(count, count)))
    assert sorted(network.batches) == [2, 5, 8]
    runtimes[0].warmup(1)
    assert runtimes[0].info is network.info and runtimes[0].memory() == (1, 2)
    for runtime in runtimes:
        assert not network.closed
        runtime.close()
        runtime.close()
    assert network.closed == 1


def test_batch_invariance_is_measured_up_to_the_largest_size(network: FakeOfCrops) -> None:
    assert is_batch_invariant(network, 20)
    assert is_batch_invariant(DependentOnSize(), 4)
    assert not is_batch_invariant(DependentOnSize(), 5)


def test_shared_by_one_is_the_runtime_itself(caplog: pytest.LogCaptureFixture) -> None:
    network = Fake()
    assert share_runtime(network, 1, 8) == [network] and not network.batches and not caplog.text
