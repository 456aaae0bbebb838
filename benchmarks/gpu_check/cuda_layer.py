# SPDX-License-Identifier: Apache-2.0
"""CUDA by ctypes: all that PEAR by TensorRT needs except TensorRT."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np

from benchmarks.gpu_check.findings import Findings
from pear_ros.pear.runtimes import cuda
from pear_ros.pear.runtimes.cuda import DeviceBuffer, PinnedBuffer, Stream
from pear_ros.pear.runtimes.cudart import CudaError

_BYTES = 1 << 20
_REPLAYS = 1000
_OPENINGS = 50
_PETABYTE = 1 << 50
_MAY_LOSE = 8 << 20
"""Bytes that other programs may take meanwhile."""
_OUT_OF_MEMORY = 2
_Owner = TypeVar("_Owner", Stream, PinnedBuffer, DeviceBuffer, cuda.Graph)


def run(findings: Findings, smoke: bool) -> None:
    """Try memory, graphs, errors, threads and the neighbourhood of torch."""
    with fake_cuda(smoke):
        gpu = cuda.gpu()
        free, total = cuda.memory(gpu)
        findings.note("GPU", f"{gpu}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free")
        times = 100 if smoke else _REPLAYS
        what = f"copies in a graph, {times} times with other data"
        with findings.trying(what):
            findings.check(what, True, _replay(times))
        with findings.trying("a capture that fails"):
            _check_capture(findings)
        with findings.trying("a petabyte"):
            _check_petabyte(findings)
        with findings.trying("a second thread"):
            _check_thread(findings, smoke)
        with findings.trying("open and close"):
            _check_loss(findings)
        if not smoke:
            with findings.trying("beside torch"):
                _check_beside_torch(findings)


@contextmanager
def fake_cuda(smoke: bool) -> Iterator[None]:
    """Replace CUDA by a stand-in with `smoke`."""
    if not smoke:
        yield
        return
    import pytest

    from testing.fakes import FakeCuda

    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory() as folder:
        FakeCuda(Path(folder), patch)
        yield


class _RoundTrip:
    """A graph that copies bytes to the GPU and back."""

    def __init__(self) -> None:
        self._bytes = np.random.default_rng(0).integers(0, 256, _BYTES, np.uint8)
        with ExitStack() as stack:
            self.stream = _owned(stack, Stream())
            self.source = _owned(stack, PinnedBuffer((_BYTES,), np.uint8))
            self.target = _owned(stack, PinnedBuffer((_BYTES,), np.uint8))
            self._device = _owned(stack, DeviceBuffer(_BYTES))
            self._graph = _owned(stack, self.stream.capture(self._work))
            self._stack = stack.pop_all()

    def _work(self) -> None:
        self.stream.upload(self.source, self._device, _BYTES)
        self.stream.download(self._device, self.target, _BYTES)

    def __call__(self, seed: int) -> None:
        """Copy other bytes; raises AssertionError where others come back."""
        np.add(self._bytes, np.uint8(seed % 256), out=self.source.array)
        self.target.array[:] = 0
        self.stream.launch(self._graph)
        self.stream.synchronize()
        assert np.array_equal(self.source.array, self.target.array), "other bytes came back"

    def __enter__(self) -> _RoundTrip:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _owned(stack: ExitStack, owner: _Owner) -> _Owner:
    """Return `owner`, which the stack closes."""
    stack.callback(owner.close)
    return owner


def _replay(times: int) -> str:
    """Replay a graph; return the mean time of a replay with its bytes."""
    with _RoundTrip() as trip:
        start = time.perf_counter()
        for seed in range(times):
            trip(seed)
        return f"{1e6 * (time.perf_counter() - start) / times:.0f} us each"


def _code(call: Callable[[], object]) -> int:
    """Return the error code of CUDA with which `call` fails; 0 where it does not."""
    try:
        call()
    except CudaError as error:
        return error.code
    return 0


def _check_capture(findings: Findings) -> None:
    with _RoundTrip() as trip:
        code = _code(lambda: trip.stream.capture(lambda: DeviceBuffer(_BYTES).close()))
        findings.check("an allocation in a capture fails", code != 0, f"error {code}")
        trip(1)
        findings.check("the stream is usable afterwards", True)


def _check_petabyte(findings: Findings) -> None:
    code = _code(lambda: DeviceBuffer(_PETABYTE))
    findings.check("a petabyte gives error 2", code == _OUT_OF_MEMORY, f"error {code}")
    _replay(1)
    findings.check("all works afterwards", True)


def _check_thread(findings: Findings, smoke: bool) -> None:
    """Use CUDA in a second thread, also while this one captures."""

    def in_thread(work: Callable[[], object]) -> int:
        codes: list[int] = []
        thread = threading.Thread(target=lambda: codes.append(_code(work)))
        thread.start()
        thread.join()
        return codes[0] if codes else -1

    code = in_thread(lambda: _replay(10))
    findings.check("a second thread", code == 0, f"error {code}")
    if smoke:  # The stand-in forbids it.
        return
    codes: list[int] = []
    with _RoundTrip() as trip:
        graph = trip.stream.capture(
            lambda: codes.append(in_thread(lambda: DeviceBuffer(_BYTES).close()))
        )
        graph.close()
        trip(2)
    findings.check("a second thread allocates during a capture", codes == [0], f"error {codes[0]}")


def _check_loss(findings: Findings) -> None:
    # By CUDA alone: the host's available memory changes by itself.
    gpu = replace(cuda.gpu(), integrated=False)
    _replay(1)
    before, _ = cuda.memory(gpu)
    for _ in range(_OPENINGS):
        _replay(1)
    after, _ = cuda.memory(gpu)
    lost = before - after
    findings.check(
        f"{_OPENINGS} times open and close lose no memory", lost <= _MAY_LOSE, f"{lost} bytes"
    )


def _check_beside_torch(findings: Findings) -> None:
    """Let torch compute before, between and after calls, also after one that fails."""
    import torch

    if not torch.cuda.is_available():
        findings.note("beside torch", f"not tried: torch {torch.__version__} sees no GPU")
        return
    matrix = torch.eye(256, device="cuda")
    with _RoundTrip() as trip:
        for seed in range(20):
            matrix = matrix @ matrix
            trip(seed)
            _code(lambda: DeviceBuffer(_PETABYTE))
        torch.cuda.synchronize()
    right = bool(torch.equal(matrix.cpu(), torch.eye(256)))
    findings.check("beside torch, which sees none of our errors", right, torch.__version__)
