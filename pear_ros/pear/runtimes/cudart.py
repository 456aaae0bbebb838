# SPDX-License-Identifier: Apache-2.0
"""CUDA's runtime library, of CUDA 12 or 13, through ctypes (CUDA Runtime API reference).

It is loaded on first use.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from collections.abc import Iterator
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_ulonglong, c_void_p
from pathlib import Path
from typing import Any

from pear_ros.pear.runtimes.driver import OLDEST_CUDA, NoGpuError, cuda_version
from pear_ros.pear.runtimes.runtime import (
    MEMORY_ADVICE,
    DeviceUnavailableError,
    RuntimeLostError,
)

FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cudaRuntimeGetVersion": (POINTER(c_int),),
    "cudaDriverGetVersion": (POINTER(c_int),),
    "cudaGetLastError": (),
    "cudaMemGetInfo": (POINTER(c_size_t), POINTER(c_size_t)),
    "cudaMalloc": (POINTER(c_void_p), c_size_t),
    "cudaFree": (c_void_p,),
    "cudaHostAlloc": (POINTER(c_void_p), c_size_t, c_uint),
    "cudaFreeHost": (c_void_p,),
    "cudaMemcpyAsync": (c_void_p, c_void_p, c_size_t, c_int, c_void_p),
    "cudaStreamCreateWithFlags": (POINTER(c_void_p), c_uint),
    "cudaStreamSynchronize": (c_void_p,),
    "cudaStreamDestroy": (c_void_p,),
    "cudaEventCreateWithFlags": (POINTER(c_void_p), c_uint),
    "cudaEventRecord": (c_void_p, c_void_p),
    "cudaEventSynchronize": (c_void_p,),
    "cudaEventDestroy": (c_void_p,),
    "cudaStreamBeginCapture": (c_void_p, c_int),
    "cudaStreamEndCapture": (c_void_p, POINTER(c_void_p)),
    "cudaGraphInstantiateWithFlags": (POINTER(c_void_p), c_void_p, c_ulonglong),
    "cudaGraphLaunch": (c_void_p, c_void_p),
    "cudaGraphExecDestroy": (c_void_p,),
    "cudaGraphDestroy": (c_void_p,),
}
"""Functions in use, with the types of their arguments; each returns an error code, 0 for none."""
TEXTS = ("cudaGetErrorName", "cudaGetErrorString")
"""Functions from an error code to a text."""

_MAJORS = (13, 12)
_FOLDER = Path("/usr/local/cuda/lib64")
_LOST = {214, 226, 700, 702, 710, *range(714, 720), 999}
"""Errors after which all calls of the process fail: according to the reference it must be ended.

Uncorrectable ECC error, contained exception, illegal address, launch timeout, assertion in a
kernel, hardware stack, illegal instruction, misaligned address, address space, program counter,
launch failure, unknown error."""
_ADVICE = {
    2: MEMORY_ADVICE,
    35: "update NVIDIA's driver, or install the CUDA runtime of an older version",
    46: "another program may have exclusive use of the GPU",
    **dict.fromkeys(_LOST, "this process can no longer use the GPU: start it again"),
}


class CudaError(DeviceUnavailableError):
    """A call to CUDA failed; the text has the function, the reason and a remedy."""

    def __init__(self, call: str, code: int, name: str, text: str) -> None:
        """`call`: name of the function; `code`, `name` and `text`: CUDA's error."""
        advice = f"; {_ADVICE[code]}" if code in _ADVICE else ""
        super().__init__(f"{call} failed: {text} ({name}){advice}")
        self.code = code


class CudaLostError(CudaError, RuntimeLostError):
    """A call to CUDA failed with an error that all later calls of this process return as well."""


def cuda_error(call: str, code: int, name: str, text: str) -> CudaError:
    """Return the error of a failed call, a CudaLostError where later calls fail as well.

    Arguments as of CudaError; the codes of CUDA's runtime and driver are the same.
    """
    return (CudaLostError if code in _LOST else CudaError)(call, code, name, text)


class Cudart:
    """The loaded CUDA runtime library."""

    def __init__(self, library: str) -> None:
        """Load `library`. Raises OSError if that fails, AttributeError if a function is missing."""
        self._library = ctypes.CDLL(library)
        for name, types in FUNCTIONS.items():
            function = getattr(self._library, name)
            function.argtypes, function.restype = types, c_int
        for name in TEXTS:
            function = getattr(self._library, name)
            function.argtypes, function.restype = (c_int,), c_char_p

    def __call__(self, name: str, *arguments: object) -> None:
        """Call the function `name` of FUNCTIONS. Raises CudaError, or of it CudaLostError."""
        code = int(getattr(self._library, name)(*arguments))
        if code:
            # Clears the error, or TensorRT would find it as the last one.
            self._library.cudaGetLastError()
            texts = (getattr(self._library, text)(code) for text in TEXTS)
            raise cuda_error(name, code, *(text.decode(errors="replace") for text in texts))

    def version(self, name: str) -> int:
        """Return the version by `cudaRuntimeGetVersion` or `cudaDriverGetVersion`; 0: no driver."""
        version = c_int()
        self(name, byref(version))
        return version.value


@functools.cache
def cudart() -> Cudart:
    """Return the newest supported CUDA runtime that is not newer than the driver.

    Raises NoGpuError.
    """
    too_new = ""
    for library in _libraries():
        try:
            loaded = Cudart(library)
            version = loaded.version("cudaRuntimeGetVersion")
            known = loaded.version("cudaDriverGetVersion")
        except (OSError, AttributeError, CudaError):
            continue
        if not OLDEST_CUDA <= version < 1000 * (_MAJORS[0] + 1):
            continue
        if not known or version // 1000 <= known // 1000:
            return loaded
        too_new = (
            f"; {library} is of CUDA {cuda_version(version)}, newer than the driver, which"
            f" supports CUDA {cuda_version(known)}"
        )
    names = " or ".join(f"libcudart.so.{major}" for major in reversed(_MAJORS))
    raise NoGpuError(f"there is no CUDA runtime library ({names}){too_new}: install CUDA's runtime")


def _libraries() -> Iterator[str]:
    """Candidates of CUDA's runtime, the newest first: installed, of a wheel, in CUDA's folder."""
    wheels = importlib.util.find_spec("nvidia")
    folders = wheels.submodule_search_locations if wheels else None
    for major in _MAJORS:
        name = f"libcudart.so.{major}"
        yield name
        for folder in folders or ():
            yield from map(str, sorted(Path(folder).glob(f"*/lib/{name}")))
        yield str(_FOLDER / name)
    yield "libcudart.so"
