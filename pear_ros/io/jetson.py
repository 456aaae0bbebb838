# SPDX-License-Identifier: Apache-2.0
"""A Jetson's board, power mode, clocks and memory, from files that need no privileges.

`root` is the folder with /proc, /sys, /etc and /var everywhere. What cannot be read is None, empty
or absent.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from pear_ros.io.jetpacks import jetpack_major
from pear_ros.io.system_files import memory_info, read_number, read_text

ROOT = Path("/")


@dataclass(frozen=True)
class Jetson:
    """Model, software and power mode of a Jetson."""

    model: str
    l4t: str
    """Version of Jetson Linux, such as "36.4.3"; empty where unknown."""
    power_mode: str
    """Power mode, such as "MAXN" or "mode 2"; empty where unknown."""

    @property
    def jetpack(self) -> str:
        """Major version of JetPack, such as "6"; empty where unknown."""
        return str(jetpack_major(self.l4t) or "")

    def __str__(self) -> str:
        jetpack = f"JetPack {self.jetpack}, " if self.jetpack else ""
        mode = f", power {self.power_mode}" if self.power_mode else ""
        return f"{self.model} ({jetpack}L4T {self.l4t or 'unknown'}{mode})"


def find_jetson(root: Path = ROOT) -> Jetson | None:
    """Return the Jetson that this machine is; None where it is another machine."""
    model = read_text(root / "proc/device-tree/model").rstrip("\0")
    release = read_text(root / "etc/nv_tegra_release")
    found = re.search(r"R(\d+).*?REVISION:\s*([\d.]+)", release)
    if not found and not re.search("jetson|orin|thor|tegra", model, re.IGNORECASE):
        return None
    l4t = f"{found[1]}.{found[2]}" if found else ""
    number, modes = power_mode(root), power_modes(root)
    name = (
        ""
        if number is None
        else next((mode.name for mode in modes if mode.number == number), f"mode {number}")
    )
    return Jetson(model or "Jetson", l4t, name)


@dataclass(frozen=True)
class PowerMode:
    """A power mode of nvpmodel."""

    number: int
    name: str
    gpu_limit: float
    """Highest clock of the GPU, Hz; infinity where the mode does not limit it, NaN if unknown."""


def power_mode(root: Path = ROOT) -> int | None:
    """Return the number of nvpmodel's last setting; None where unknown."""
    found = re.search(r"pmode:(\d+)", read_text(root / "var/lib/nvpmodel/status"))
    return int(found[1]) if found else None


def power_modes(root: Path = ROOT) -> list[PowerMode]:
    """Return the board's power modes, from nvpmodel's configuration."""
    parts = re.split(r"^\s*<\s*POWER_MODEL\s+", read_text(root / "etc/nvpmodel.conf"), flags=re.M)
    modes = []
    for part in parts[1:]:
        head = re.match(r"ID=(\d+)\s+NAME=(\S+?)\s*>", part)
        if head:
            limit = re.search(r"^\s*GPU\s+MAX_FREQ\s+(-?\d+)", part, re.MULTILINE)
            hertz = math.nan if not limit else float(limit[1])
            modes.append(PowerMode(int(head[1]), head[2], math.inf if hertz < 0.0 else hertz))
    return modes


@dataclass(frozen=True)
class Clock:
    """A clock of the GPU, in Hz."""

    name: str
    """Name of its device, such as "17000000.gpu"."""
    now: int | None
    lowest: int | None
    """The least that it may fall to."""
    highest: int | None
    """The most that the power mode allows."""
    governor: str

    @property
    def fixed(self) -> bool:
        """Whether it stays at its highest, as after jetson_clocks."""
        return self.lowest is not None and self.lowest == self.highest


def gpu_clocks(root: Path = ROOT) -> list[Clock]:
    """Return the clocks of the GPU: one on Orin, two on Thor."""
    devices = sorted((root / "sys/class/devfreq").glob("*"))
    return [
        Clock(
            name=device.name,
            now=read_number(device / "cur_freq"),
            lowest=read_number(device / "min_freq"),
            highest=read_number(device / "max_freq"),
            governor=read_text(device / "governor"),
        )
        for device in devices
        if re.search(r"gpu|ga10b", device.name)
    ]


@dataclass(frozen=True)
class Memory:
    """Memory, which CPU and GPU share, in bytes; None where unknown."""

    total: int | None
    available: int | None
    """Free, or freed on demand: what an engine can be built in."""
    swap: int | None
    swap_free: int | None
    gpu: int | None
    """Taken by buffers of the GPU (NvMapMemUsed)."""
    contiguous_free: int | None
    """Free of the contiguous memory (CMA)."""


def shared_memory(root: Path = ROOT) -> Memory:
    """Return the memory as it is now."""
    rows = memory_info(root)
    names = ("MemTotal", "MemAvailable", "SwapTotal", "SwapFree", "NvMapMemUsed", "CmaFree")
    return Memory(*map(rows.get, names))
