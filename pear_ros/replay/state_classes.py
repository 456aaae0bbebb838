# SPDX-License-Identifier: Apache-2.0
"""The classes that the state of a pipeline consists of, for its snapshots."""

from __future__ import annotations

import dataclasses
import enum
import sys

_PACKAGES = (
    "pear_ros.core",
    "pear_ros.detection",
    "pear_ros.estimators",
    "pear_ros.fitting",
    "pear_ros.landmarks",
    "pear_ros.pear",
    "pear_ros.scale",
    "pear_ros.smoothing",
    "pear_ros.tracking",
)
"""Packages that define stateful components of the pipeline, or the classes of their state."""


def state_classes() -> frozenset[type]:
    """Return all dataclasses and enumerations that the loaded modules of _PACKAGES define.

    A pipeline has loaded the modules of its own state.
    """
    return frozenset(
        value
        for name, module in list(sys.modules.items())
        if ".".join(name.split(".")[:2]) in _PACKAGES
        for value in vars(module).values()
        if isinstance(value, type) and value.__module__ == name and _is_data(value)
    )


def _is_data(kind: type) -> bool:
    return dataclasses.is_dataclass(kind) or issubclass(kind, enum.Enum)
