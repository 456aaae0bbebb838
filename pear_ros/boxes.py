# SPDX-License-Identifier: Apache-2.0
"""Boxes around people: (4,) x0 y0 x1 y1 in pixels."""

from __future__ import annotations

import numpy as np

from pear_ros.people import Array

_MAX_IOU = 0.35
_MAX_CONTAINED = 0.7
"""Boxes of one person overlap more than this: over the union, or over the smaller box."""


def same_person(a: Array, b: Array) -> bool:
    """Whether two boxes are likely of one person."""
    common = overlap(a, b)
    areas = overlap(a, a), overlap(b, b)
    return common > _MAX_IOU * (sum(areas) - common) or common > _MAX_CONTAINED * min(areas)


def overlap(a: Array, b: Array) -> float:
    """Area common to two boxes."""
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    return float(np.prod(np.maximum(sides, 0.0)))
