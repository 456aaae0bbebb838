# SPDX-License-Identifier: Apache-2.0
"""The kernel that crops people on an NVIDIA GPU, through CUDA's driver API and ctypes.

Its source is crop_kernel.cu; the driver translates crop_kernel.ptx, which
tools/compile_crop_kernel.py makes of it, for the GPU. Not yet run on a GPU.
"""

from __future__ import annotations

import ctypes
from contextlib import ExitStack
from ctypes import POINTER, byref, c_char_p, c_int, c_uint, c_void_p
from pathlib import Path

from pear_ros.pear.crop import INPUT_SIZE
from pear_ros.pear.runtimes.cudart import cuda_error
from pear_ros.pear.runtimes.driver import Driver

PTX_FILE = Path(__file__).parents[1] / "crop_kernel.ptx"
"""The kernel in PTX, NVIDIA's portable assembly."""
TO_BYTES, TO_FLOATS = "crop_to_bytes", "crop_to_floats"
"""The two kernels: crops as uint8, rounded, or as float32 from 0 to 255."""

_FUNCTIONS = {
    "cuInit": (c_uint,),
    "cuDeviceGet": (POINTER(c_int), c_int),
    "cuDevicePrimaryCtxRetain": (POINTER(c_void_p), c_int),
    "cuDevicePrimaryCtxRelease_v2": (c_int,),
    "cuCtxSetCurrent": (c_void_p,),
    "cuModuleLoadData": (POINTER(c_void_p), c_char_p),
    "cuModuleUnload": (c_void_p,),
    "cuModuleGetFunction": (POINTER(c_void_p), c_void_p, c_char_p),
    "cuLaunchKernel": (c_void_p, *7 * (c_uint,), c_void_p, POINTER(c_void_p), c_void_p),
}
_BLOCK = (32, 8)
"""Columns and rows of a crop in a block of threads."""


class CropKernel:
    """The kernel on the first GPU; may be launched in any thread and captured in CUDA graphs."""

    def __init__(self, name: str) -> None:
        """Load the kernel `name`: TO_BYTES or TO_FLOATS.

        Raises NoGpuError where there is no driver, CudaError where it cannot load the kernel, and
        OSError where the kernel's file is missing.
        """
        self._driver = Driver(_FUNCTIONS)
        device, context, module, function = c_int(), c_void_p(), c_void_p(), c_void_p()
        with ExitStack() as owned:
            self._call("cuInit", 0)
            self._call("cuDeviceGet", byref(device), 0)
            # The context that CUDA's runtime and torch use.
            self._call("cuDevicePrimaryCtxRetain", byref(context), device)
            owned.callback(self._driver.code, "cuDevicePrimaryCtxRelease_v2", device)
            self._call("cuCtxSetCurrent", context)
            self._call("cuModuleLoadData", byref(module), PTX_FILE.read_bytes())
            owned.callback(self._driver.code, "cuModuleUnload", module)
            self._call("cuModuleGetFunction", byref(function), module, name.encode())
            self._owned = owned.pop_all()
        self._context, self._function = context, function

    def __call__(self, pixels: int, geometry: int, crops: int, people: int, stream: int) -> None:
        """Enqueue the crops of `people` > 0 in `stream`, a handle of CUDA. Raises CudaError.

        Addresses in the GPU's memory: `pixels` (height, width, 3) uint8, `geometry` (people, 5)
        float64 (see crop_kernel.cu) and `crops` (people, 256, 256, 3).
        """
        arguments = [c_void_p(address) for address in (pixels, geometry, crops)]
        pointers = (c_void_p * len(arguments))(*map(ctypes.addressof, arguments))
        grid = (INPUT_SIZE // _BLOCK[0], INPUT_SIZE // _BLOCK[1], people)
        self._call("cuCtxSetCurrent", self._context)
        self._call("cuLaunchKernel", self._function, *grid, *_BLOCK, 1, 0, stream, pointers, None)

    def close(self) -> None:
        """Unload the kernel; may be called twice."""
        self._owned.close()

    def _call(self, name: str, *arguments: object) -> None:
        if code := self._driver.code(name, *arguments):
            raise cuda_error(name, code, f"error {code}", self._driver.text(code))
