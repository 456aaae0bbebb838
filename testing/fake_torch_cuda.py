# SPDX-License-Identifier: Apache-2.0
"""A GPU for torch that is none: what CUDA graphs demand, checked with tensors on the CPU.

As on a GPU, work on a stream is done when the host waits for it and not before; what is recorded is
not computed, and computed by each replay from what lies in the same memory; what one graph leaves
behind is lost when another of the same pool is replayed. While a graph is recorded, anything that
brings numbers from the host or asks for numbers fails, and so does a tensor that the run before the
recording has not met: on a GPU it would be a copy from the host, or in memory that is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

FORBIDDEN = {"_local_scalar_dense", "nonzero", "masked_select", "equal", "lift_fresh", "pin_memory"}


class FakeGpu(TorchDispatchMode):
    """Replaces torch.cuda in this context."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.default = self.current = FakeStream()
        self.recording: FakeGraph | None = None
        self.graphs: list[FakeGraph] = []
        self.waits = self.blocking_waits = 0
        """Number of times that the host has waited for a stream."""
        self.copies = 0
        """Number of copies between host and GPU."""
        self._seen: list[Tensor] = []  # Kept, so that no other storage gets their addresses.
        self._known: set[int] = set()
        for name, value in {
            "Stream": lambda device=None: FakeStream(self, device),
            "stream": self._stream,
            "current_stream": lambda device=None: self.current,
            "graph": self._graph,
            "graph_pool_handle": object,
            "Event": lambda blocking=False: FakeEvent(self, blocking),
            "CUDAGraph": lambda: FakeGraph(self),
            "is_available": lambda: True,
            "mem_get_info": lambda device=None: (3 << 30, 8 << 30),
            "get_device_name": lambda device=None: "Fake GPU",
            "get_device_capability": lambda device=None: (9, 0),
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)
        empty, copy = torch.empty, Tensor.copy_
        monkeypatch.setattr(torch, "empty", lambda *a, pin_memory=False, **k: empty(*a, **k))
        monkeypatch.setattr(Tensor, "pin_memory", Tensor.clone)

        def copy_(to: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
            assert self.recording is None, "a copy from or to the host is recorded"
            if self.current is self.default:
                return copy(to, source)
            assert non_blocking, "a copy that waits"
            self.copies += 1
            self.current.do(lambda: copy(to, source))
            return to

        monkeypatch.setattr(Tensor, "copy_", copy_)

    @contextmanager
    def _stream(self, stream: FakeStream) -> Iterator[None]:
        before, self.current = self.current, stream
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def _graph(
        self, graph: FakeGraph, pool: object, stream: FakeStream, capture_error_mode: str
    ) -> Iterator[None]:
        assert stream is self.current is not self.default
        stream.finish()
        graph.pool, self.recording = pool, graph
        try:
            yield
        finally:
            self.recording = None
        self.graphs.append(graph)
        graph.spoil()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given, kwargs = _tensors((args, kwargs)), kwargs or {}
        # In inference mode operations come here before they are taken apart.
        with self:
            result = func.decompose(*args, **kwargs)
        if result is not NotImplemented:
            return result
        result = func(*args, **kwargs)
        if self.recording is not None:
            name = func.overloadpacket.__name__
            assert name not in FORBIDDEN, f"{name} is recorded, which a GPU cannot do"
            for tensor in given:
                assert _storage(tensor) in self._known, f"{name} is given a tensor of the host"
            masks = [tensor for tensor in given if tensor.dtype == torch.bool]
            assert name != "index" or not masks, (
                "the size of a masked result needs a synchronisation"
            )
            self.recording.note(func, args, kwargs, given, result)
        for tensor in [*given, *_tensors(result)]:
            self._seen.append(tensor)
            self._known.add(_storage(tensor))
        return result


class FakeStream:
    """Work in order, done when the host waits."""

    def __init__(self, gpu: FakeGpu | None = None, device: torch.device | None = None) -> None:
        self.device = device
        self._gpu = gpu
        self._work: list[Callable[[], object]] = []

    def do(self, work: Callable[[], object]) -> None:
        self._work.append(work)

    def finish(self) -> None:
        for work in self._work:
            work()
        self._work.clear()

    def wait_stream(self, other: FakeStream) -> None:
        if other is not self:
            self.do(other.finish)

    def synchronize(self) -> None:
        assert self._gpu is not None and self._gpu.recording is None
        self._gpu.waits += 1
        self.finish()


class FakeEvent:
    """A moment in a stream's work."""

    def __init__(self, gpu: FakeGpu, blocking: bool) -> None:
        self._gpu, self._blocking = gpu, blocking
        self._stream: FakeStream | None = None

    def record(self, stream: FakeStream) -> None:
        self._stream = stream

    def synchronize(self) -> None:
        assert self._stream is not None, "nothing is waited for"
        self._gpu.blocking_waits += self._blocking
        self._stream.synchronize()


class FakeGraph:
    """Operations on tensors that stay where they are."""

    pool: object

    def __init__(self, gpu: FakeGpu) -> None:
        self._gpu = gpu
        self._steps: list[Callable[[], object]] = []
        self._made: list[Tensor] = []

    @property
    def kernels(self) -> int:
        """How many of the operations compute anything."""
        return len(self._steps)

    def note(self, func: Any, args: Any, kwargs: Any, given: list[Tensor], result: Any) -> None:
        theirs = {_storage(tensor) for tensor in given}
        fresh = [out if _storage(out) not in theirs else None for out in _tensors(result)]
        self._made += [out for out in fresh if out is not None]
        if not func._schema.is_mutable and not any(out is not None for out in fresh):
            return  # Just another view.

        def step() -> None:
            for out, now in zip(fresh, _tensors(func(*args, **kwargs)), strict=True):
                if out is not None:
                    torch.ops.aten.copy_(out, now)

        self._steps.append(step)

    def replay(self) -> None:
        assert self._gpu.recording is None
        self._gpu.current.do(self._play)

    def spoil(self) -> None:
        """What is in memory after something else has used it."""
        for tensor in self._made:
            tensor.fill_(torch.nan if tensor.is_floating_point() else 0)

    @torch.inference_mode()
    def _play(self) -> None:
        for graph in self._gpu.graphs:
            if graph.pool is self.pool:
                graph.spoil()
        for step in self._steps:
            step()


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
