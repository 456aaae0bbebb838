# SPDX-License-Identifier: Apache-2.0
"""Description of this machine, from files of the system; no GPU is queried."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/")
_JETPACKS = {35: "5", 36: "6", 38: "7", 39: "7"}
"""JetPack's major version by that of Jetson Linux (L4T)."""


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
        major = self.l4t.partition(".")[0]
        return _JETPACKS.get(int(major), "") if major else ""

    def __str__(self) -> str:
        jetpack = f"JetPack {self.jetpack}, " if self.jetpack else ""
        mode = f", power {self.power_mode}" if self.power_mode else ""
        return f"{self.model} ({jetpack}L4T {self.l4t or 'unknown'}{mode})"


@dataclass(frozen=True)
class Machine:
    """Processor, memory and system of a machine."""

    processor: str
    cores: int
    """Number of cores that this process may use."""
    memory: int
    """Main memory, bytes; 0 where unknown."""
    governor: str
    """CPU frequency governor, such as "performance"; empty where unknown."""
    system: str
    """Operating system, such as "Ubuntu 24.04.1 LTS, Linux x86_64"."""
    container: bool
    jetson: Jetson | None

    def __str__(self) -> str:
        parts = [self.processor, f"{self.cores} cores"]
        if self.memory:
            parts.append(f"{self.memory / 1e9:.0f} GB memory")
        if self.governor:
            parts.append(f"clock set to {self.governor}")
        if self.jetson:
            parts.append(str(self.jetson))
        return ", ".join((*parts, self.system, *(["in a container"] if self.container else [])))


def this_machine(root: Path = _ROOT) -> Machine:
    """Return the description of this machine; `root`: the folder with /proc, /sys and /etc."""
    return Machine(
        processor=_processor(root),
        cores=len(os.sched_getaffinity(0)),
        memory=_memory(root),
        governor=_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        system=f"{_system(root)}, {platform.system()} {platform.machine()}",
        container=(root / ".dockerenv").exists() or (root / "run/.containerenv").exists(),
        jetson=_jetson(root),
    )


def load() -> float:
    """Return the load average over the last minute."""
    return os.getloadavg()[0]


def has_nvidia(root: Path = _ROOT) -> bool:
    """Return whether this machine has an NVIDIA GPU, with or without a working driver."""
    vendors = (root / "sys/bus/pci/devices").glob("*/vendor")
    return _jetson(root) is not None or any(
        _text(vendor) == "0x10de" and _text(vendor.with_name("class")).startswith("0x03")
        for vendor in vendors
    )


def _processor(root: Path) -> str:
    cpuinfo = _text(root / "proc/cpuinfo")
    found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _memory(root: Path) -> int:
    found = re.search(r"^MemTotal:\s*(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def _system(root: Path) -> str:
    found = re.search(r'^PRETTY_NAME="?([^"\n]+)', _text(root / "etc/os-release"), re.MULTILINE)
    return found[1] if found else platform.release()


def _jetson(root: Path) -> Jetson | None:
    model = _text(root / "proc/device-tree/model").rstrip("\0")
    release = _text(root / "etc/nv_tegra_release")
    found = re.search(r"R(\d+).*?REVISION:\s*([\d.]+)", release)
    if not found and not re.search("jetson|orin|thor|tegra", model, re.IGNORECASE):
        return None
    l4t = f"{found[1]}.{found[2]}" if found else ""
    return Jetson(model or "Jetson", l4t, _power_mode(root))


def _power_mode(root: Path) -> str:
    """Return nvpmodel's last setting from its file, which needs no privileges."""
    mode = re.search(r"pmode:(\d+)", _text(root / "var/lib/nvpmodel/status"))
    if not mode:
        return ""
    number = int(mode[1])
    names = re.findall(
        r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", _text(root / "etc/nvpmodel.conf")
    )
    return next((name for id, name in names if int(id) == number), f"mode {number}")


def _text(path: Path) -> str:
    """Return the content of a file; empty where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
