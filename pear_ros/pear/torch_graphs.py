# SPDX-License-Identifier: Apache-2.0
"""CUDA graphs by torch: computations that are recorded once and launched as a whole.

Not yet run on a GPU: tested on a stand-in for one that checks the demands of CUDA graphs.
"""

# mypy: disable-error-code="no-untyped-call"
# (torch has calls without types)

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor


class TorchGraphs:
    """A computation on rows, one for each person, as one CUDA graph for each batch size.

    Rows are uploaded in one copy, results are downloaded in one. Larger batches than the largest
    graph are split. Other tensors that the computation reads must keep their GPU memory; their
    owner may write to it on `stream`.
    """

    def __init__(
        self, compute: Callable[[Tensor], Tensor], rows: Tensor, blocking_wait: bool = False
    ) -> None:
        """`compute` maps the first B of `rows` (N, W) to a result (B, ...) on the GPU.

        Its operations may depend on B alone. It is called twice for each B, once to load and select
        kernels and once to be recorded; before that, `rows` are not read. N is the largest batch.
        `blocking_wait`: whether the CPU sleeps, instead of polling, until the GPU is done.
        """
        self.stream = torch.cuda.Stream(rows.device)
        """The CUDA stream of all work."""
        self._done = torch.cuda.Event(blocking=True) if blocking_wait else None
        self._compute = compute
        self._rows = rows
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}
        # Shared by all graphs: a result is copied before another graph runs.
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, people: int) -> None:
        """Record the graphs of all batch sizes from 1 to `people`."""
        # The largest first: the others reuse its memory.
        for count in range(min(people, len(self._rows)), 0, -1):
            self._record(count)

    @torch.inference_mode()
    def run(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the results (B, ...) for `rows` (B, W) with any B, in a new array."""
        most = len(self._rows)
        groups = [slice(n, min(n + most, len(rows))) for n in range(0, len(rows), most)]
        # Without people, one graph gives the shape of a result.
        counts = [group.stop - group.start for group in groups] or [1]
        for count in counts:
            self._record(count)
        result = self._graphs[counts[0]][1]
        given = torch.from_numpy(rows).pin_memory()
        found = torch.empty((len(rows), *result.shape[1:]), dtype=result.dtype, pin_memory=True)
        with torch.cuda.stream(self.stream):
            for group, count in zip(groups, counts, strict=False):
                graph, result = self._graphs[count]
                self._rows[:count].copy_(given[group], non_blocking=True)
                graph.replay()
                found[group].copy_(result, non_blocking=True)
        self._wait()
        # A copy, so that the caller does not keep pinned memory.
        return found.numpy().copy()

    def _wait(self) -> None:
        if self._done is None:
            self.stream.synchronize()
        else:
            self._done.record(self.stream)
            self._done.synchronize()

    def close(self) -> None:
        """Free the graphs and their memory, and whatever else torch keeps of the GPU's memory."""
        with suppress(RuntimeError):  # Of a GPU that is lost.
            self.stream.synchronize()
        self._graphs.clear()
        del self._compute, self._rows
        with suppress(RuntimeError):
            torch.cuda.empty_cache()

    @torch.inference_mode()
    def _record(self, count: int) -> None:
        if count in self._graphs:
            return
        rows = self._rows[:count]
        # The owner's earlier work on another stream comes first.
        self.stream.wait_stream(torch.cuda.current_stream(self.stream.device))
        with torch.cuda.stream(self.stream), exact_float32(), float32_sums():
            self._compute(rows)
            graph = torch.cuda.CUDAGraph()
            # Other threads may use the GPU during the capture.
            with torch.cuda.graph(
                graph, pool=self._pool, stream=self.stream, capture_error_mode="thread_local"
            ):
                result = self._compute(rows)
        self._graphs[count] = graph, result


_exact = threading.RLock()


@contextmanager
def exact_float32() -> Iterator[None]:
    """Compute float32 products and convolutions without TF32 in this context.

    CUDA graphs keep the setting with which they were recorded. torch has one setting for the whole
    process: one thread after the other may enter, and others compute without TF32 meanwhile.
    """
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    mkldnn: Any = torch.backends.mkldnn
    # The name from torch 2.9 on, which warns of the older one.
    new = hasattr(matmul, "fp32_precision")
    owners = (matmul, cudnn.conv, mkldnn.matmul) if new else (cudnn,)
    name, exact = ("fp32_precision", "ieee") if new else ("allow_tf32", False)
    with _exact:
        before = [getattr(owner, name) for owner in owners]
        precision = ""
        with suppress(RuntimeError):  # Where other code has set the newer name alone.
            precision = torch.get_float32_matmul_precision()
        try:
            if precision != "highest":
                # Other code has set this: torch refuses to compute where only the newer name says
                # otherwise. It sets both.
                torch.set_float32_matmul_precision("highest")
            for owner in owners[:2]:
                setattr(owner, name, exact)
            yield
        finally:
            if precision not in ("", "highest"):
                torch.set_float32_matmul_precision(precision)
            for owner, value in zip(owners, before, strict=True):
                setattr(owner, name, value)


@contextmanager
def float32_sums() -> Iterator[None]:
    """Add up products of half-precision matrices in float32 in this context.

    By default cuBLAS may add partial sums in half precision. CUDA graphs keep the setting.
    """
    matmul: Any = torch.backends.cuda.matmul
    names = [f"allow_{precision}_reduced_precision_reduction" for precision in ("fp16", "bf16")]
    before = [getattr(matmul, name) for name in names]
    try:
        for name in names:
            setattr(matmul, name, False)
        yield
    finally:
        for name, value in zip(names, before, strict=True):
            setattr(matmul, name, value)


def device_name(device: torch.device) -> str:
    """Return the GPU's name, such as "NVIDIA H200, compute capability 9.0"."""
    major, minor = torch.cuda.get_device_capability(device)
    return f"{torch.cuda.get_device_name(device)}, compute capability {major}.{minor}"
