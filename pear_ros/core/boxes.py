# SPDX-License-Identifier: Apache-2.0
"""Boxes around people: (4,) x0 y0 x1 y1 in pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera
from pear_ros.core.people import Array

Doubles = npt.NDArray[np.float64]

_MAX_IOU = 0.35
_MAX_CONTAINED = 0.7
"""Boxes of one person overlap more than this: over the union, or over the smaller box."""


def same_person(a: Array, b: Array) -> bool:
    """Whether two boxes are likely of one person."""
    return bool(same_people(a[None], b[None])[0, 0])


def same_people(some: Array, others: Array) -> npt.NDArray[np.bool_]:
    """(N, M) whether boxes (N, 4) and (M, 4) are likely of one person."""
    common, areas, other_areas = _overlaps(some, others)
    same = common > _MAX_IOU * (areas + other_areas - common)
    return np.asarray(same | (common > _MAX_CONTAINED * np.minimum(areas, other_areas)))


def ious(some: Array, others: Array) -> Array:
    """(N, M) area common to boxes (N, 4) and (M, 4), over their union; 0 where there is none."""
    common, areas, other_areas = _overlaps(some, others)
    union = np.maximum(areas + other_areas - common, np.finfo(np.float32).tiny)
    return np.asarray(common / union)


def overlap(a: Array, b: Array) -> float:
    """Area common to two boxes."""
    return float(_overlaps(a[None], b[None])[0][0, 0])


def _overlaps(some: Array, others: Array) -> tuple[Array, Array, Array]:
    """(N, M) common areas of boxes (N, 4) and (M, 4), their own areas (N, 1) and (M,)."""
    low = np.maximum(some[:, None, :2], others[:, :2])
    sides = np.maximum(np.minimum(some[:, None, 2:], others[:, 2:]) - low, 0.0)
    own, other = (np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0) for boxes in (some, others))
    return sides[..., 0] * sides[..., 1], own[:, :1] * own[:, 1:], other[:, 0] * other[:, 1]


def moved_boxes(boxes: Array, roots: Doubles, moved: Doubles, camera: Camera) -> Array:
    """Boxes (N, 4) of people whose roots (N, 3), in the camera's frame, move to other places.

    A box stays as it is where the camera does not see both places.
    """
    before, after = camera.project(np.stack([roots, moved]))
    seen = np.isfinite(before + after).all(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        nearer = roots[:, 2] / moved[:, 2]
        corners = boxes.reshape(-1, 2, 2) - before[:, None]
        corners = corners * nearer[:, None, None] + after[:, None]
    result: Array = np.where(seen[:, None], corners.reshape(-1, 4), boxes).astype(np.float32)
    return result
