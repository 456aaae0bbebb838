# SPDX-License-Identifier: Apache-2.0
"""Memory, streams and graphs of CUDA on the first GPU.

Objects are freed by close(), which may be called twice, and never automatically.
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
_BLOCKING_SYNC, _DISABLE_TIMING = 1, 2
_HOST_TO_DEVICE, _DEVICE_TO_HOST = 1, 2
_THREAD_LOCAL = 1
"""Capture mode that lets other threads, such as those of PyTorch, use CUDA meanwhile."""


def gpu() -> Gpu:
    """Return the GPU that is used. Raises NoGpuError with what is missing."""
    found = first_gpu()
    cudart()
    return found


def memory(gpu: Gpu) -> tuple[int, int]:
    """Return free and total bytes of the memory of `gpu`. Raises CudaError."""
    free, total = c_size_t(), c_size_t()
    cudart()("cudaMemGetInfo", byref(free), byref(total))
    if gpu.integrated:
        # CUDA does not count the page cache, which the kernel frees on demand.
        return max(free.value, available_memory()), total.value
    return free.value, total.value


class _Owned:
    """A CUDA resource that must be freed."""

    def __init__(self, handle: int | None, free: str) -> None:
        """`free`: name of the CUDA function that frees `handle`."""
        self._handle, self._free = handle, free

    @property
    def handle(self) -> int | None:
        """CUDA's handle or address; None once it is freed."""
        return self._handle

    def close(self) -> None:
        """Free it. May be called twice. Raises CudaError."""
        if handle := self._handle:
            self._handle = None
            cudart()(self._free, handle)


class DeviceBuffer(_Owned):
    """Memory on the GPU."""

    def __init__(self, nbytes: int) -> None:
        """Allocate `nbytes`. Raises CudaError."""
        address = c_void_p()
        cudart()("cudaMalloc", byref(address), nbytes)
        super().__init__(address.value, "cudaFree")


class PinnedBuffer(_Owned):
    """Pinned memory of the host, which the GPU reads and writes directly."""

    array: npt.NDArray[Any]
    """Array in the pinned memory; it must not be used after close()."""

    def __init__(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        """Allocate an array of `shape` and `dtype`. Raises CudaError."""
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
    """A CUDA graph: captured work that is launched by one call."""

    def __init__(self, captured: int | None) -> None:
        """Instantiate the graph `captured`, which this object owns now. Raises CudaError."""
        with ExitStack() as stack:
            stack.callback(_Owned(captured, "cudaGraphDestroy").close)
            executable = c_void_p()
            cudart()("cudaGraphInstantiateWithFlags", byref(executable), captured, 0)
            super().__init__(executable.value, "cudaGraphExecDestroy")
            self._captured = stack.pop_all()

    def close(self) -> None:
        with self._captured:
            super().close()


class BlockingEvent(_Owned):
    """A moment in a stream's work, for which the CPU waits asleep; otherwise CUDA may poll."""

    def __init__(self) -> None:
        """Create the event. Raises CudaError."""
        handle = c_void_p()
        cudart()("cudaEventCreateWithFlags", byref(handle), _BLOCKING_SYNC | _DISABLE_TIMING)
        super().__init__(handle.value, "cudaEventDestroy")

    def wait(self, stream: Stream) -> None:
        """Wait until all work of `stream` is done. Raises CudaError, also for earlier calls."""
        cudart()("cudaEventRecord", self.handle, stream.handle)
        cudart()("cudaEventSynchronize", self.handle)


class Stream(_Owned):
    """A CUDA stream: work that the GPU does in order."""

    def __init__(self) -> None:
        """Create the stream. Raises CudaError."""
        handle = c_void_p()
        cudart()("cudaStreamCreateWithFlags", byref(handle), _NON_BLOCKING)
        super().__init__(handle.value, "cudaStreamDestroy")

    def upload(self, source: PinnedBuffer, target: DeviceBuffer, nbytes: int) -> None:
        """Enqueue a copy of the first `nbytes` to the GPU. Raises CudaError."""
        self._copy(target, source, nbytes, _HOST_TO_DEVICE)

    def download(self, source: DeviceBuffer, target: PinnedBuffer, nbytes: int) -> None:
        """Enqueue a copy of the first `nbytes` from the GPU. Raises CudaError."""
        self._copy(target, source, nbytes, _DEVICE_TO_HOST)

    def launch(self, graph: Graph) -> None:
        """Enqueue `graph`. Raises CudaError."""
        cudart()("cudaGraphLaunch", graph.handle, self.handle)

    def synchronize(self) -> None:
        """Wait until all work is done. Raises CudaError, also for errors of earlier calls."""
        cudart()("cudaStreamSynchronize", self.handle)

    def capture(self, work: Callable[[], None]) -> Graph:
        """Return what `work` enqueues in this stream as a graph, which is not launched.

        Raises CudaError, and what `work` raises; the stream stays usable.
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


def available_memory() -> int:
    """Return the bytes of MemAvailable in /proc/meminfo; 0 if unknown."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return 1024 * int(found[0]) if found else 0
