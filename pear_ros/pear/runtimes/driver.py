# SPDX-License-Identifier: Apache-2.0
"""NVIDIA's driver and the GPU that it finds, through ctypes (CUDA Driver API reference).

Call it before TensorRT is used, which may end the process where there is no driver. The library is
loaded on first use.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint
from dataclasses import dataclass
from typing import Any

from pear_ros.pear.runtimes.runtime import RuntimeUnavailableError

OLDEST_CUDA = 12000
"""The oldest supported CUDA, as 1000 major + 10 minor."""

_LIBRARY = "libcuda.so.1"
_FUNCTIONS = {
    "cuInit": (c_uint,),
    "cuDriverGetVersion": (POINTER(c_int),),
    "cuDeviceGetCount": (POINTER(c_int),),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDeviceGetName": (c_char_p, c_int, c_int),
    "cuDeviceTotalMem_v2": (POINTER(c_size_t), c_int),
    "cuDeviceGetAttribute": (POINTER(c_int), c_int, c_int),
}
_TEXT = {"cuGetErrorString": (c_int, POINTER(c_char_p))}
_NO_DEVICE = 100
_MULTIPROCESSORS, _INTEGRATED, _MAJOR, _MINOR = 16, 18, 75, 76
"""Numbers of device attributes in CUDA's driver API."""
_NAME_LENGTH = 256
_MEMORY_STEP = 4 << 30
_NO_GPU = "NVIDIA's driver finds no GPU: check nvidia-smi and CUDA_VISIBLE_DEVICES"


class NoGpuError(RuntimeUnavailableError):
    """No GPU can be used; the text says what is missing."""


@dataclass(frozen=True)
class Gpu:
    """An NVIDIA GPU."""

    name: str
    """Name of the GPU, as the driver gives it."""
    compute_capability: tuple[int, int]
    """Major and minor number of the compute capability."""
    memory: int
    """Total memory, bytes; that of the board if the GPU shares the host's memory."""
    integrated: bool
    """Whether the GPU shares the host's memory, as on a Jetson."""
    multiprocessors: int
    """Number of streaming multiprocessors (SM): AGX Orin, Orin NX and Orin Nano are all named Orin
    and have 8.7."""

    def __str__(self) -> str:
        major, minor = self.compute_capability
        return f"{self.name}, compute capability {major}.{minor}"


def first_gpu() -> Gpu:
    """Return the first GPU of the driver, which CUDA_VISIBLE_DEVICES selects.

    Raises NoGpuError.
    """
    call = Driver(_FUNCTIONS)
    code = call.code("cuInit", 0)
    if code == _NO_DEVICE:
        raise NoGpuError(_NO_GPU)
    if code:
        raise NoGpuError(f"NVIDIA's driver does not start: {call.text(code)}")
    version = c_int()
    call("cuDriverGetVersion", byref(version))
    if version.value < OLDEST_CUDA:
        raise NoGpuError(
            f"NVIDIA's driver is too old: it supports CUDA {cuda_version(version.value)} at most,"
            f" and {cuda_version(OLDEST_CUDA)} is required; update the driver"
        )
    count, device = c_int(), c_int()
    call("cuDeviceGetCount", byref(count))
    if count.value == 0:
        raise NoGpuError(_NO_GPU)
    call("cuDeviceGet", byref(device), 0)
    name, memory = ctypes.create_string_buffer(_NAME_LENGTH), c_size_t()
    call("cuDeviceGetName", name, _NAME_LENGTH, device)
    call("cuDeviceTotalMem_v2", byref(memory), device)
    attributes = []
    for attribute in (_MAJOR, _MINOR, _INTEGRATED, _MULTIPROCESSORS):
        value = c_int()
        call("cuDeviceGetAttribute", byref(value), attribute, device)
        attributes.append(value.value)
    major, minor, integrated, multiprocessors = attributes
    found = name.value.decode(errors="replace")
    return Gpu(found, (major, minor), memory.value, bool(integrated), multiprocessors)


def memory_gib(memory: int) -> int:
    """Return `memory` in bytes as GiB, rounded up to a multiple of 4, to tell boards apart.

    What the driver reports of the same board varies a little with its version.
    """
    return -(-memory // _MEMORY_STEP) * (_MEMORY_STEP >> 30)


def cuda_version(number: int) -> str:
    """Return CUDA's version as a text, such as "12.6" for 12060."""
    return f"{number // 1000}.{number % 1000 // 10}"


class Driver:
    """The loaded library of NVIDIA's driver."""

    def __init__(self, functions: Mapping[str, tuple[Any, ...]]) -> None:
        """Load it, to call `functions`, given with the types of their arguments.

        Raises NoGpuError where it, or one of them, is missing.
        """
        try:
            self._library = ctypes.CDLL(_LIBRARY)
            for name, types in {**functions, **_TEXT}.items():
                function = getattr(self._library, name)
                function.argtypes, function.restype = types, c_int
        except (OSError, AttributeError) as error:
            raise NoGpuError(
                f"there is no driver of NVIDIA ({error}): install it, or start the container with"
                " access to the GPU"
            ) from error

    def code(self, name: str, *arguments: object) -> int:
        """Return the error code of a call of the function `name`, 0 for none."""
        return int(getattr(self._library, name)(*arguments))

    def __call__(self, name: str, *arguments: object) -> None:
        """Call the function `name`. Raises NoGpuError with the driver's text where it fails."""
        if code := self.code(name, *arguments):
            raise NoGpuError(f"NVIDIA's driver cannot query the GPU: {name}: {self.text(code)}")

    def text(self, code: int) -> str:
        """Return the driver's text for an error code."""
        text = c_char_p()
        self.code("cuGetErrorString", code, byref(text))
        return f"{(text.value or b'unknown error').decode(errors='replace')} ({code})"
