# SPDX-License-Identifier: Apache-2.0
"""Common parts of runtimes on the CPU: their base, number of threads, instruction sets."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from pear_ros.core.people import Array, Image
from pear_ros.pear.crop import INPUT_SIZE, Crops, Squares, crop_pixels
from pear_ros.pear.runtimes.runtime import RuntimeInfo

_CPUS = Path("/sys/devices/system/cpu")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")
_INFO = Path("/proc/cpuinfo")


class CropBuffer:
    """Crops people into a buffer that is reused for each image."""

    def __init__(self) -> None:
        self._crops = self._room(1)

    def __call__(self, image: Image, places: Squares) -> Crops:
        """Return crops (B, 256, 256, 3) of the squares `places` (B, 3), valid until the next call.

        Raises ValueError for squares with NaN.
        """
        if len(places) > len(self._crops):
            self._crops = self._room(len(places))
        return crop_pixels(image, places, out=self._crops[: len(places)])

    @staticmethod
    def _room(people: int) -> Crops:
        return np.zeros((people, INPUT_SIZE, INPUT_SIZE, 3), np.uint8)


class CpuRuntime:
    """Base of runtimes on the CPU, which are a pear_ros.pear.runtimes.runtime.CropRuntime."""

    info: RuntimeInfo
    """Description of the runtime; `require_accurate` adds the verdict."""

    def __init__(self, name: str, version: str, threads: int, precision: str, weights: str) -> None:
        """Describe the library `name`, and the network by its fingerprint of `weights`."""
        self._crop = CropBuffer()
        self.info = RuntimeInfo(
            name=name,
            version=version,
            device=f"CPU, {threads} threads",
            precision=precision,
            weights=weights,
            verdict=None,
        )

    def infer(self, image: Image, places: Squares) -> Array:
        """Return outputs (B, VECTOR_SIZE) float32 for squares `places` (B, 3) of `image` (H, W, 3).

        Raises ValueError for squares with NaN.
        """
        return self.infer_crops(self._crop(image, places))

    def infer_crops(self, crops: Crops) -> Array:
        """Return outputs (B, VECTOR_SIZE) float32 for `crops` (B, 256, 256, 3)."""
        raise NotImplementedError

    def warmup(self, people: int) -> None:
        """Infer one person: only the first run of all, of any batch size, takes longer."""
        self.infer(np.zeros((1, 1, 3), np.uint8), np.array([[0.0, 0.0, 1.0]]))

    def memory(self) -> None:
        """Return None: there is no GPU."""


def thread_count() -> int:
    """Return the number of physical cores that this process may use, at least 1.

    A core's second hyper-thread adds nothing to matrix products. Affinity and the quota of a
    container are considered.
    """
    allowed = os.sched_getaffinity(0)
    cores = {_core(cpu) for cpu in allowed}
    return max(1, min(len(cores), _quota()))


def has_bf16() -> bool:
    """Return whether the CPU has bfloat16 instructions; without, it is slower than float32."""
    return bool(_features() & {"amx_bf16", "avx512_bf16", "bf16"})


def has_int8_dot_product() -> bool:
    """Return whether products of signed and unsigned bytes are summed without saturation.

    x86 before VNNI sums pairs of them in 16 bits, where large sums saturate.
    """
    return bool(_features() & {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"})


def _core(cpu: int) -> str:
    """The hyper-threads of the core of `cpu`, which identify it."""
    try:
        return (_CPUS / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text()
    except OSError:
        return str(cpu)


def _quota() -> int:
    """CPU quota of the container, in cores."""
    try:
        quota, period = _QUOTA.read_text().split()
        return os.cpu_count() or 1 if quota == "max" else math.ceil(int(quota) / int(period))
    except (OSError, ValueError):
        return os.cpu_count() or 1


def _features() -> set[str]:
    """Flags (x86) or features (ARM) of the first processor in /proc/cpuinfo."""
    try:
        lines = _INFO.read_text().splitlines()
    except OSError:
        return set()
    found = (line.partition(":")[2] for line in lines if line.startswith(("flags", "Features")))
    return set(next(found, "").split())
