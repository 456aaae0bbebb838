# SPDX-License-Identifier: Apache-2.0
"""The classes that the state of a pipeline consists of, for its snapshots."""

from __future__ import annotations

import dataclasses
import enum
import sys
from collections.abc import Iterable

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


def state_classes(components: Iterable[object] = ()) -> frozenset[type]:
    """Return the dataclasses and enumerations of which the state of a pipeline may consist.

    They are those that the loaded modules of _PACKAGES define, and the modules of the classes of
    `components` (Pipeline.components) and of their bases, so that estimators and detectors from
    outside of this package may keep dataclasses of their own. A pipeline has loaded the modules of
    its own state.
    """
    own = {base.__module__ for component in components for base in type(component).__mro__}
    return frozenset(
        value
        for name, module in list(sys.modules.items())
        if name in own or ".".join(name.split(".")[:2]) in _PACKAGES
        for value in list(vars(module).values())
        if isinstance(value, type) and value.__module__ == name and _is_data(value)
    )


def _is_data(kind: type) -> bool:
    return dataclasses.is_dataclass(kind) or issubclass(kind, enum.Enum)
