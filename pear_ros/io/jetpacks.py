# SPDX-License-Identifier: Apache-2.0
"""NVIDIA's releases for Jetsons, and which versions of TensorRT are right for a board."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class JetPack:
    """One or several releases with the same software."""

    versions: str
    l4t: int
    """Major version of its Jetson Linux (L4T)."""
    boards: str
    ubuntu: str
    python: str
    ros: str
    """The distribution of ROS 2 that its Ubuntu has."""
    tensorrt: str
    cuda: str
    """Empty where unknown."""


JETPACKS = (
    JetPack("6.1, 6.2", 36, "Orin", "22.04", "3.10", "Humble", "10.3", "12.6"),
    JetPack("7.0, 7.1", 38, "Thor", "24.04", "3.12", "Jazzy", "10.13", "13.0"),
    JetPack("7.2", 39, "Orin, Thor", "24.04", "3.12", "Jazzy", "10.16", "13.2"),
    JetPack("7.2.2", 39, "AGX Orin, AGX Thor", "24.04", "3.12", "Jazzy", "11.4", ""),
)
"""The releases that pear_ros supports."""

OLDEST = 6
"""Oldest supported major version of JetPack."""
_MAJORS = {35: 5} | {jetpack.l4t: int(jetpack.versions.partition(".")[0]) for jetpack in JETPACKS}

_NOT_BUILT_FOR = {("10.13.3", "8.7")}
"""Versions of TensorRT, and compute capabilities that they list but were built without."""


def jetpack_major(l4t: str) -> int | None:
    """Return JetPack's major version for a version of L4T, such as "36.4.3"; None if unknown."""
    major = l4t.partition(".")[0]
    return _MAJORS.get(int(major)) if major.isdecimal() else None


def own_tensorrt(l4t: str) -> tuple[str, ...]:
    """Return the versions of TensorRT that releases with this L4T bring, such as ("10.3",)."""
    major = l4t.partition(".")[0]
    return tuple(jetpack.tensorrt for jetpack in JETPACKS if str(jetpack.l4t) == major)


def runs_on(tensorrt: str, compute_capability: str) -> bool:
    """Return whether a version of TensorRT was built for a GPU, as far as is known."""
    return (".".join(tensorrt.split(".")[:3]), compute_capability) not in _NOT_BUILT_FOR
