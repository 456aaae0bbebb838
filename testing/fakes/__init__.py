# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for CUDA and TensorRT, for tests without a GPU."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from pear_ros.pear.runtimes import cudart, driver
from pear_ros.pear.runtimes.crop_kernel import PTX_FILE

HERE = Path(__file__).parent
_COMPILERS = ("cc", "gcc", "clang")


class FakeCuda:
    """CUDA without a GPU; see fake_cudart.c."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Compile it into `folder`, unless it is there, and have pear_ros load it."""
        library = folder / "libfake_cudart.so"
        if not library.exists():
            compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
            if compiler is None:
                pytest.skip(f"there is no C compiler ({', '.join(_COMPILERS)})")
            options = ["-std=c11", "-Wall", "-Werror", "-O1", "-shared", "-fPIC"]
            options.append("-Wl,-Bsymbolic")  # It calls itself, not the CUDA that torch may bring.
            options.append(f"-I{PTX_FILE.parent}")  # Where its source is.
            source = str(HERE / "fake_cudart.c")
            subprocess.run([compiler, *options, source, "-lm", "-o", str(library)], check=True)
        monkeypatch.setattr(driver, "_LIBRARY", str(library))
        monkeypatch.setattr(cudart, "_libraries", lambda: [str(library)])
        self.library = ctypes.CDLL(str(library))
        self.library.fakeLog.restype = ctypes.c_char_p
        self.reset()

    def reset(self) -> None:
        """Reset to the initial state."""
        cudart.cudart.cache_clear()
        self.library.fakeReset()

    def machine(
        self,
        runtime: int = 13000,
        driver: int = 13000,
        start: int = 0,
        devices: int = 1,
        memory: int = 8 << 30,
    ) -> None:
        """Versions of CUDA's runtime and driver, what the driver's start returns, and so on."""
        size = ctypes.c_size_t(memory)
        self.library.fakeMachine(runtime, driver, start, devices, size)

    def fail(self, call: str, number: int, code: int) -> None:
        """Let the `number`-th of the next calls, from 1, fail."""
        self.library.fakeFail(call.encode(), number, code)

    def break_down(self, code: int = 700) -> None:
        """Let all calls fail from now on."""
        self.library.fakeBreak(code)

    def calls(self) -> list[str]:
        """Return all calls since the last call of this method."""
        return self.library.fakeLog().decode().splitlines()

    def counted(self) -> Counter[str]:
        """Return the number of calls of each function since the last call of this method."""
        return Counter(call.split()[0] for call in self.calls())

    @property
    def live(self) -> int:
        """Return the number of resources that are not freed."""
        return int(self.library.fakeLive())
