# SPDX-License-Identifier: Apache-2.0
"""Memory, streams and graphs of CUDA on the first GPU.

What is made here is freed by its close(), which may be called twice, and by nothing else.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from contextlib import ExitStack, suppress
from ctypes import byref, c_size_t, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pear_ros.pear.runtimes.cudart import CudaError, cudart
from pear_ros.pear.runtimes.driver import Gpu, first_gpu

_NON_BLOCKING = 1
_HOST_TO_DEVICE, _DEVICE_TO_HOST = 1, 2
_THREAD_LOCAL = 1
"""Way of capturing: other threads, such as those of PyTorch, may do meanwhile what they want."""


def gpu() -> Gpu:
    """The GPU that is used. Raises NoGpuError with what is missing."""
    found = first_gpu()
    cudart()
    return found


def memory(gpu: Gpu) -> tuple[int, int]:
    """Bytes that can be had on `gpu`, and all that it has. Raises CudaError."""
    free, total = c_size_t(), c_size_t()
    cudart()("cudaMemGetInfo", byref(free), byref(total))
    if gpu.integrated:
        # CUDA does not count what the system keeps of files, and gives back when it is needed.
        return max(free.value, _available_memory()), total.value
    return free.value, total.value


class _Owned:
    """Something of CUDA's that is to be freed."""

    def __init__(self, handle: int | None, free: str) -> None:
        """`free`: the function that frees `handle`."""
        self._handle, self._free = handle, free

    @property
    def handle(self) -> int | None:
        """Address of what CUDA made; None once it is freed."""
        return self._handle

    def close(self) -> None:
        """Free it. May be called twice. Raises CudaError."""
        if handle := self._handle:
            self._handle = None
            cudart()(self._free, handle)


class DeviceBuffer(_Owned):
    """Memory on the GPU."""

    def __init__(self, nbytes: int) -> None:
        """Raises CudaError."""
        address = c_void_p()
        cudart()("cudaMalloc", byref(address), nbytes)
        super().__init__(address.value, "cudaFree")


class PinnedBuffer(_Owned):
    """Memory of the host that the GPU reads and writes directly."""

    array: npt.NDArray[Any]
    """The memory itself; it must not be used after close()."""

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        """Room for an array of `shape` and `dtype`. Raises CudaError."""
        address, kind = c_void_p(), np.dtype(dtype)
        nbytes = math.prod(shape) * kind.itemsize
        cudart()("cudaHostAlloc", byref(address), nbytes, 0)
        super().__init__(address.value, "cudaFreeHost")
        assert address.value is not None, "CUDA gives memory or an error"
        memory = memoryview((ctypes.c_ubyte * nbytes).from_address(address.value))
        self.array = np.frombuffer(memory, kind).reshape(shape)

    def close(self) -> None:
        self.__dict__.pop("array", None)
        super().close()


class Graph(_Owned):
    """Work for the GPU that was captured once and can be started again by one call."""

    def __init__(self, captured: int | None) -> None:
        """`captured`: CUDA's graph, which is this object's from now on. Raises CudaError."""
        with ExitStack() as stack:
            stack.callback(_Owned(captured, "cudaGraphDestroy").close)
            executable = c_void_p()
            cudart()("cudaGraphInstantiateWithFlags", byref(executable), captured, 0)
            super().__init__(executable.value, "cudaGraphExecDestroy")
            self._captured = stack.pop_all()

    def close(self) -> None:
        with self._captured:
            super().close()


class Stream(_Owned):
    """Work for the GPU, done one after the other."""

    def __init__(self) -> None:
        """Raises CudaError."""
        handle = c_void_p()
        cudart()("cudaStreamCreateWithFlags", byref(handle), _NON_BLOCKING)
        super().__init__(handle.value, "cudaStreamDestroy")

    def upload(self, source: PinnedBuffer, target: DeviceBuffer, nbytes: int) -> None:
        """Copy the first `nbytes` to the GPU, at some time. Raises CudaError."""
        self._copy(target, source, nbytes, _HOST_TO_DEVICE)

    def download(self, source: DeviceBuffer, target: PinnedBuffer, nbytes: int) -> None:
        """Copy the first `nbytes` from the GPU, at some time. Raises CudaError."""
        self._copy(target, source, nbytes, _DEVICE_TO_HOST)

    def launch(self, graph: Graph) -> None:
        """Start `graph`. Raises CudaError."""
        cudart()("cudaGraphLaunch", graph.handle, self.handle)

    def synchronize(self) -> None:
        """Wait until all is done. Raises CudaError, for calls before as well."""
        cudart()("cudaStreamSynchronize", self.handle)

    def capture(self, work: Callable[[], None]) -> Graph:
        """What `work` puts into this stream, as a graph; it is not started.

        Raises CudaError, and what `work` raises; the stream can be used as before.
        """
        captured = c_void_p()
        cudart()("cudaStreamBeginCapture", self.handle, _THREAD_LOCAL)
        try:
            work()
        except BaseException:
            with suppress(CudaError):
                cudart()("cudaStreamEndCapture", self.handle, byref(captured))
            with suppress(CudaError):
                _Owned(captured.value, "cudaGraphDestroy").close()
            raise
        cudart()("cudaStreamEndCapture", self.handle, byref(captured))
        return Graph(captured.value)

    def _copy(self, target: _Owned, source: _Owned, nbytes: int, direction: int) -> None:
        cudart()("cudaMemcpyAsync", target.handle, source.handle, nbytes, direction, self.handle)


def _available_memory() -> int:
    """Bytes that Linux says can be had without swapping; 0 where it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return 1024 * int(found[0]) if found else 0
