# SPDX-License-Identifier: Apache-2.0
"""Compile the kernel that crops people to PTX, NVIDIA's portable assembly; needs no GPU.

    python -m pip install nvidia-cuda-nvrtc-cu12==12.0.140
    python -m tools.compile_crop_kernel

The driver translates PTX for its GPU when it is loaded, so that no compiler is needed there. That
of CUDA 12.0 is understood by all drivers that are supported, and that for compute capability 5.2 by
all GPUs of today.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import sys
from ctypes import byref, c_char_p, c_int, c_size_t, c_void_p
from pathlib import Path

from pear_ros.io.output_files import write_text
from pear_ros.pear.runtimes.crop_kernel import PTX_FILE

SOURCE_FILE = PTX_FILE.with_suffix(".cu")
"""The kernel in CUDA C."""
_VERSION = (12, 0)
_OPTIONS = (b"--gpu-architecture=compute_52",)


class CompilerError(Exception):
    """The kernel cannot be compiled here; the text has the reason and a remedy."""


def compiled(source: str) -> str:
    """Return `source` in CUDA C as PTX. Raises CompilerError."""
    library = _nvrtc()
    program = c_void_p()
    call = _Call(library, program)
    call("nvrtcCreateProgram", byref(program), source.encode(), b"crop_kernel.cu", 0, None, None)
    try:
        options = (c_char_p * len(_OPTIONS))(*_OPTIONS)
        call("nvrtcCompileProgram", program, len(_OPTIONS), options)
        size = c_size_t()
        call("nvrtcGetPTXSize", program, byref(size))
        text = ctypes.create_string_buffer(size.value)
        call("nvrtcGetPTX", program, text)
        return text.value.decode()
    finally:
        call("nvrtcDestroyProgram", byref(program))


def fingerprint(source: str) -> str:
    """Return the first line of the PTX of `source`, which names it by its SHA-256."""
    return f"// crop_kernel.cu, SHA-256 {hashlib.sha256(source.encode()).hexdigest()}\n"


def main() -> None:
    """Write the PTX beside the source."""
    source = SOURCE_FILE.read_text()
    try:
        ptx = compiled(source)
    except CompilerError as error:
        sys.exit(str(error))
    write_text(PTX_FILE, fingerprint(source) + ptx)


class _Call:
    """Calls NVRTC's functions, and raises CompilerError with the compiler's log."""

    def __init__(self, library: ctypes.CDLL, program: c_void_p) -> None:
        self._library, self._program = library, program

    def __call__(self, name: str, *arguments: object) -> None:
        if code := getattr(self._library, name)(*arguments):
            raise CompilerError(f"{name} fails with {code}: {self._log()}")

    def _log(self) -> str:
        size = c_size_t()
        if self._library.nvrtcGetProgramLogSize(self._program, byref(size)):
            return "there is no log"
        text = ctypes.create_string_buffer(size.value)
        self._library.nvrtcGetProgramLog(self._program, text)
        return text.value.decode(errors="replace")


def _nvrtc() -> ctypes.CDLL:
    """NVIDIA's compiler at run time, of the version whose PTX all supported drivers understand."""
    wanted = ".".join(map(str, _VERSION))
    spec = importlib.util.find_spec("nvidia")
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        for path in Path(folder).glob("cuda_nvrtc/lib/libnvrtc.so.12"):
            library = ctypes.CDLL(str(path))
            major, minor = c_int(), c_int()
            library.nvrtcVersion(byref(major), byref(minor))
            if (major.value, minor.value) == _VERSION:
                return library
    raise CompilerError(
        f"there is no NVRTC {wanted}: python -m pip install nvidia-cuda-nvrtc-cu12==12.0.140"
    )


if __name__ == "__main__":
    main()
