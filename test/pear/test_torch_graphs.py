# SPDX-License-Identifier: Apache-2.0
"""CUDA graphs of torch, on a GPU that is none."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch's CUDA graphs")

from torch import Tensor  # noqa: E402

from pear_ros.pear.torch_graphs import TorchGraphs, exact_float32, float32_sums  # noqa: E402
from testing.fake_torch_cuda import FakeGpu  # noqa: E402  (needs torch)

MOST = 3
WEIGHTS = torch.arange(8.0).reshape(2, 4)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGpu]:
    with FakeGpu(monkeypatch) as gpu:
        yield gpu


def sums(rows: Tensor) -> Tensor:
    made = rows @ WEIGHTS
    made += torch.arange(4.0)
    return torch.stack([made, 2.0 * made], dim=1)


def graphs(compute: Callable[[Tensor], Tensor] = sums) -> TorchGraphs:
    return TorchGraphs(compute, torch.zeros((MOST, 2)))


@pytest.mark.parametrize("people", [0, 1, 2, 3, 4, 7])
def test_any_number_of_people(gpu: FakeGpu, people: int) -> None:
    made = graphs()
    for seed in range(2):
        rows = np.random.default_rng(seed).normal(size=(people, 2)).astype(np.float32)
        found = made.run(rows)
        assert found.shape == (people, 2, 4) and found.dtype == np.float32
        np.testing.assert_allclose(found, sums(torch.from_numpy(rows)).numpy(), atol=1e-6)


def test_one_copy_there_one_back_and_one_wait(gpu: FakeGpu) -> None:
    made = graphs()
    made.record(9)
    assert len(gpu.graphs) == MOST
    assert gpu.waits == gpu.copies == 0
    made.run(np.zeros((MOST, 2), np.float32))
    assert (gpu.copies, gpu.waits, len(gpu.graphs)) == (2, 1, MOST)
    made.run(np.zeros((2 * MOST, 2), np.float32))
    assert (gpu.copies, gpu.waits, len(gpu.graphs)) == (6, 2, MOST)


def test_results_are_kept(gpu: FakeGpu) -> None:
    made = graphs()
    first = made.run(np.ones((2, 2), np.float32))
    kept = first.copy()
    made.run(np.zeros((2, 2), np.float32))
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda rows: rows * torch.tensor([1.0, 2.0]),
        lambda rows: rows * torch.from_numpy(np.ones(2, np.float32)),
        lambda rows: rows * float(rows.sum()),
        lambda rows: rows[rows[:, 0] == 0.0],
        lambda rows: rows.clone().copy_(rows),
    ],
)
def test_what_no_graph_can_hold_is_found(gpu: FakeGpu, mistake: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(AssertionError):
        graphs(mistake).record(1)


def test_numbers_that_are_not_computed_again_are_found(gpu: FakeGpu) -> None:
    """The fake notices what a graph would get wrong."""
    kept: list[Tensor] = []

    def once(rows: Tensor) -> Tensor:
        if not kept:
            kept.append(rows + 0.0)
        return rows + kept[0]

    found = graphs(once).run(np.ones((1, 2), np.float32))
    assert not np.allclose(found, 2.0)


def test_close(gpu: FakeGpu) -> None:
    made = graphs()
    made.record(1)
    made.close()
    assert gpu.waits == 1


@pytest.mark.parametrize("blocking", [False, True])
def test_wait_for_the_gpu(gpu: FakeGpu, blocking: bool) -> None:
    made = TorchGraphs(sums, torch.zeros((MOST, 2)), blocking)
    for _ in range(2):
        rows = np.ones((2, 2), np.float32)
        np.testing.assert_allclose(made.run(rows), sums(torch.from_numpy(rows)).numpy())
    assert (gpu.waits, gpu.blocking_waits) == (2, 2 * blocking)


def test_half_precision_is_summed_in_float32_while_recorded(gpu: FakeGpu) -> None:
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_fp16_reduced_precision_reduction
    seen = []

    def compute(rows: Tensor) -> Tensor:
        seen.append(matmul.allow_fp16_reduced_precision_reduction)
        seen.append(matmul.allow_bf16_reduced_precision_reduction)
        return rows * 2.0

    graphs(compute).record(1)
    assert len(seen) == 4 and not any(seen)
    assert matmul.allow_fp16_reduced_precision_reduction == before
    with pytest.raises(KeyError), float32_sums():
        raise KeyError
    assert matmul.allow_fp16_reduced_precision_reduction == before


def test_float32_is_exact_and_settings_come_back() -> None:
    matmul, conv = torch.backends.cuda.matmul, torch.backends.cudnn.conv
    before = (matmul.fp32_precision, conv.fp32_precision)
    try:
        matmul.fp32_precision = conv.fp32_precision = "tf32"
        with pytest.raises(KeyError), exact_float32():
            assert (matmul.fp32_precision, conv.fp32_precision) == ("ieee", "ieee")
            raise KeyError
        assert (matmul.fp32_precision, conv.fp32_precision) == ("tf32", "tf32")
    finally:
        matmul.fp32_precision, conv.fp32_precision = before


@pytest.mark.parametrize("precision", ["high", "medium", "highest"])
def test_float32_is_exact_where_other_code_has_set_the_precision_of_products(
    precision: str,
) -> None:
    """By torch's older name; torch refuses to compute where its two names contradict."""
    matmul = torch.backends.cuda.matmul

    def settings() -> tuple[object, ...]:
        names = (matmul.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision)
        return (*names, matmul.allow_tf32, torch.get_float32_matmul_precision())

    start = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision(precision)
        before = settings()
        with exact_float32(), exact_float32():
            assert not matmul.allow_tf32, "what each product asks for"
            assert torch.get_float32_matmul_precision() == "highest"
        assert settings() == before
    finally:
        torch.set_float32_matmul_precision(start)


def test_float32_is_exact_for_each_of_several_threads() -> None:
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    entered, leave, seen = threading.Event(), threading.Event(), []

    def first() -> None:
        with exact_float32():
            entered.set()
            assert leave.wait(30)

    def second() -> None:
        with exact_float32():
            first_thread.join()
            seen.append(matmul.fp32_precision)

    first_thread, second_thread = (threading.Thread(target=work) for work in (first, second))
    try:
        matmul.fp32_precision = "tf32"
        first_thread.start()
        assert entered.wait(30)
        second_thread.start()
        second_thread.join(0.05)  # It may have entered by now, unless it waits.
        leave.set()
        second_thread.join(30)
        assert seen == ["ieee"], "the settings of the first came back too early"
        assert matmul.fp32_precision == "tf32"
    finally:
        matmul.fp32_precision = before


def test_close_of_a_lost_gpu_raises_nothing(gpu: FakeGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    made = graphs()
    made.record(1)
    monkeypatch.setattr(made.stream, "synchronize", lost)
    monkeypatch.setattr(torch.cuda, "empty_cache", lost)
    made.close()
