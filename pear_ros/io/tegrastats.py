# SPDX-License-Identifier: Apache-2.0
"""Memory, temperature and power of a Jetson over some time, from NVIDIA's tegrastats."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import IO

_INTERVAL = 500
"""Milliseconds between two samples."""
_TO_END = 5.0
_MEGABYTE = 1 << 20
_INPUTS = ("VDD_IN", "VIN", "VIN_SYS_5V0")
"""Power rails that supply a whole board, the most complete first."""


@dataclass(frozen=True)
class Sample:
    """What one line of tegrastats says, or the most of several; None where it says nothing."""

    ram: int | None = None
    """Memory in use, bytes."""
    ram_total: int | None = None
    swap: int | None = None
    """Swap in use, bytes."""
    gpu_load: int | None = None
    """Percent."""
    temperature: float | None = None
    """Of the hottest sensor, degrees Celsius."""
    power: float | None = None
    """Of the whole board, watts."""

    def __str__(self) -> str:
        temperature = "? C" if self.temperature is None else f"{self.temperature:.0f} C"
        power = "? W" if self.power is None else f"{self.power:.0f} W"
        return (
            f"{gigabytes(self.ram)} of {gigabytes(self.ram_total)} memory, "
            f"{gigabytes(self.swap)} swap, {temperature}, {power}"
        )

    def most(self, other: Sample) -> Sample:
        """Return the larger of each value."""
        pairs = {name: (value, getattr(other, name)) for name, value in asdict(self).items()}
        known = {name: [v for v in pair if v is not None] for name, pair in pairs.items()}
        return Sample(**{name: max(values) for name, values in known.items() if values})

    @property
    def known(self) -> bool:
        """Whether it has any value."""
        return any(getattr(self, field.name) is not None for field in fields(self))


def gigabytes(count: int | None) -> str:
    """Return a number of bytes as text."""
    return "? GB" if count is None else f"{count / 1e9:.1f} GB"


def parse(line: str) -> Sample:
    """Return what a line of tegrastats says, of any JetPack from 5 to 7."""
    ram = re.search(r"\bRAM (\d+)/(\d+)MB", line)
    swap = re.search(r"\bSWAP (\d+)/\d+MB", line)
    load = re.search(r"\bGR3D_FREQ (\d+)%", line)
    # A sensor that is switched off reads -256 C.
    degrees = [float(found) for found in re.findall(r"\b\w+@(\d+(?:\.\d+)?)C", line)]
    rails = dict(re.findall(r"\b([A-Z][A-Z0-9_]*) (\d+)mW/\d+mW", line))
    watts = [float(rails[name]) / 1000.0 for name in _INPUTS if name in rails]
    return Sample(
        ram=_MEGABYTE * int(ram[1]) if ram else None,
        ram_total=_MEGABYTE * int(ram[2]) if ram else None,
        swap=_MEGABYTE * int(swap[1]) if swap else None,
        gpu_load=int(load[1]) if load else None,
        temperature=max(degrees, default=None),
        power=watts[0] if watts else None,
    )


class Peaks:
    """The most of each value since `start`; Sample() where tegrastats is missing."""

    def __init__(self, program: str = "tegrastats") -> None:
        self._program = program
        self._process: subprocess.Popen[str] | None = None
        self._thread: threading.Thread | None = None
        self.most = Sample()

    def start(self) -> None:
        """Begin, unless it has begun or the program is missing."""
        path = shutil.which(self._program)
        if self._process is not None or path is None:
            return
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                [path, "--interval", str(_INTERVAL)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
            )
            lines = self._process.stdout
            assert lines is not None
            self._thread = threading.Thread(target=self._read, args=(lines,), daemon=True)
            self._thread.start()

    def stop(self) -> Sample:
        """End, and return the most of each value. May be called twice."""
        if self._process is not None and self._thread is not None:
            self._process.terminate()
            try:
                self._process.wait(_TO_END)
            except subprocess.TimeoutExpired:
                self._process.kill()
            self._thread.join(_TO_END)
        return self.most

    def _read(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                self.most = self.most.most(parse(line))


@contextlib.contextmanager
def watched(program: str = "tegrastats") -> Iterator[Peaks]:
    """Yield Peaks that have not begun yet and that end with this context."""
    peaks = Peaks(program)
    try:
        yield peaks
    finally:
        peaks.stop()
