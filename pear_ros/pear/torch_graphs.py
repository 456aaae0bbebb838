# SPDX-License-Identifier: Apache-2.0
"""Computations on an NVIDIA GPU that torch records once and launches as a whole: CUDA graphs.

Not yet run on a GPU: tested on a stand-in for one, which holds torch to what CUDA graphs demand.
"""

# mypy: disable-error-code="no-untyped-call"
# (torch has calls without types)

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor


class TorchGraphs:
    """One computation for each person, as a CUDA graph for each number of people.

    Their numbers go to the GPU in one copy and come back in one. More people than the largest graph
    is for are computed in several goes. What else the computation reads has to stay where it is in
    the GPU's memory; whoever owns it may write there, on `stream`.
    """

    def __init__(self, compute: Callable[[Tensor], Tensor], rows: Tensor) -> None:
        """`compute` gives (B, ...) on the GPU for B of the `rows` (N, W), of N people at most.

        What it does may depend on B alone. It is called twice for each B, which is the first time
        that anything is done with `rows`: to load and choose kernels, and to be recorded.
        """
        self.stream = torch.cuda.Stream(rows.device)
        """Where everything happens."""
        self._compute = compute
        self._rows = rows
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}
        # Shared: each graph may overwrite what another has left, once that has been copied.
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, people: int) -> None:
        """Make ready for 1 to `people` people at once."""
        # The largest first: the others find room in what it has left behind.
        for count in range(min(people, len(self._rows)), 0, -1):
            self._record(count)

    @torch.inference_mode()
    def run(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """(B, ...) the results for `rows` (B, W), any number of people."""
        most = len(self._rows)
        groups = [slice(n, min(n + most, len(rows))) for n in range(0, len(rows), most)]
        # With nobody there, only the shape of a result is of interest.
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
        self.stream.synchronize()
        # A copy, so that nobody keeps pinned memory.
        return found.numpy().copy()

    def close(self) -> None:
        """Free the graphs and what they compute with."""
        self.stream.synchronize()
        self._graphs.clear()
        del self._compute, self._rows
        torch.cuda.empty_cache()

    @torch.inference_mode()
    def _record(self, count: int) -> None:
        if count in self._graphs:
            return
        rows = self._rows[:count]
        # What the owner has begun on another stream comes first.
        self.stream.wait_stream(torch.cuda.current_stream(self.stream.device))
        with torch.cuda.stream(self.stream), exact_float32():
            self._compute(rows)
            graph = torch.cuda.CUDAGraph()
            # Other threads may use the GPU meanwhile.
            with torch.cuda.graph(
                graph, pool=self._pool, stream=self.stream, capture_error_mode="thread_local"
            ):
                result = self._compute(rows)
        self._graphs[count] = graph, result


@contextmanager
def exact_float32() -> Iterator[None]:
    """Products and convolutions of float32 in float32 and not in TF32, whatever is set elsewhere.

    CUDA graphs keep what was set while they were recorded.
    """
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    # From torch 2.9 on, which warns of the older names.
    new = hasattr(matmul, "fp32_precision")
    owners = (matmul, cudnn.conv if new else cudnn)
    name, exact = ("fp32_precision", "ieee") if new else ("allow_tf32", False)
    before = [getattr(owner, name) for owner in owners]
    try:
        for owner in owners:
            setattr(owner, name, exact)
        yield
    finally:
        for owner, value in zip(owners, before, strict=True):
            setattr(owner, name, value)


def device_name(device: torch.device) -> str:
    """Such as "NVIDIA H200, compute capability 9.0"."""
    major, minor = torch.cuda.get_device_capability(device)
    return f"{torch.cuda.get_device_name(device)}, compute capability {major}.{minor}"
