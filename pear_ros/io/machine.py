# SPDX-License-Identifier: Apache-2.0
"""Description of this machine, from files of the system; no GPU is queried."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

from pear_ros.io.jetson import ROOT, Jetson, find_jetson
from pear_ros.io.system_files import memory_info, read_text


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


def this_machine(root: Path = ROOT) -> Machine:
    """Return the description of this machine; `root`: the folder with /proc, /sys and /etc."""
    return Machine(
        processor=_processor(root),
        cores=len(os.sched_getaffinity(0)),
        memory=memory_info(root).get("MemTotal", 0),
        governor=read_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        system=f"{_system(root)}, {platform.system()} {platform.machine()}",
        container=(root / ".dockerenv").exists() or (root / "run/.containerenv").exists(),
        jetson=find_jetson(root),
    )


def load() -> float:
    """Return the load average over the last minute."""
    return os.getloadavg()[0]


def has_nvidia(root: Path = ROOT) -> bool:
    """Return whether this machine has an NVIDIA GPU, with or without a working driver."""
    vendors = (root / "sys/bus/pci/devices").glob("*/vendor")
    return find_jetson(root) is not None or any(
        read_text(vendor) == "0x10de" and read_text(vendor.with_name("class")).startswith("0x03")
        for vendor in vendors
    )


def _processor(root: Path) -> str:
    cpuinfo = read_text(root / "proc/cpuinfo")
    found = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else platform.processor() or platform.machine()


def _system(root: Path) -> str:
    found = re.search(r'^PRETTY_NAME="?([^"\n]+)', read_text(root / "etc/os-release"), re.MULTILINE)
    return found[1] if found else platform.release()
