# SPDX-License-Identifier: Apache-2.0
"""Files in which Jetsons describe themselves, as boards have them, for tests without a board."""

from __future__ import annotations

from pathlib import Path

_NVPMODEL = """\
# POWER_MODEL DEFINITIONS
< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
CPU_A78_0 MAX_FREQ 1497600
GPU MIN_FREQ 0
GPU MAX_FREQ 612000000
EMC MAX_FREQ 2133000000

< POWER_MODEL ID=1 NAME=25W >
CPU_A78_0 MAX_FREQ 1344000
GPU MIN_FREQ 0
GPU MAX_FREQ 918000000

< POWER_MODEL ID=2 NAME=MAXN_SUPER >
CPU_A78_0 MAX_FREQ -1
GPU MIN_FREQ 0
GPU MAX_FREQ -1
"""

ORIN_NANO = {
    "proc/device-tree/model": (
        "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0"
    ),
    "proc/meminfo": (
        "MemTotal:        7802648 kB\nMemFree:           87040 kB\nMemAvailable:     816128 kB\n"
        "SwapTotal:       3901312 kB\nSwapFree:        3796176 kB\n"
        "NvMapMemFree:      94784 kB\nNvMapMemUsed:     805068 kB\n"
        "CmaTotal:         786432 kB\nCmaFree:          654321 kB\n"
    ),
    "etc/nv_tegra_release": (
        "# R36 (release), REVISION: 4.7, GCID: 42132812, BOARD: generic, EABI: aarch64, "
        "DATE: Thu Sep 18 22:54:44 UTC 2025\n# KERNEL_VARIANT: oot\n"
        "TARGET_USERSPACE_LIB_DIR=nvidia\n"
    ),
    "etc/nvpmodel.conf": _NVPMODEL,
    "var/lib/nvpmodel/status": "pmode:0001 fmode:quiet\n",
    "sys/class/devfreq/17000000.gpu/cur_freq": "305000000\n",
    "sys/class/devfreq/17000000.gpu/min_freq": "305000000\n",
    "sys/class/devfreq/17000000.gpu/max_freq": "918000000\n",
    "sys/class/devfreq/17000000.gpu/governor": "nvhost_podgov\n",
}
"""An Orin Nano with JetPack 6.2, in its middle power mode."""

THOR = {
    "proc/device-tree/model": "NVIDIA Jetson AGX Thor Developer Kit\0",
    "proc/meminfo": "MemTotal:  128000000 kB\nMemAvailable:  120000000 kB\n",
    "etc/nv_tegra_release": (
        "# R38 (release), REVISION: 2.2, GCID: 42205042, BOARD: generic, EABI: aarch64, "
        "DATE: Thu Sep 25 22:47:11 UTC 2025\n"
    ),
    **{
        f"sys/class/devfreq/{name}/{file}": f"{clock}\n"
        for name, clock in {"gpu-gpc-0": 1575000000, "gpu-nvd-0": 1692000000}.items()
        for file in ("cur_freq", "min_freq", "max_freq")
    },
}
"""An AGX Thor with JetPack 7.0, its clocks fixed, without nvpmodel's files, as in a container."""


def write_jetson(root: Path, files: dict[str, str]) -> Path:
    """Write `files` below `root`, and return it."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root
