# SPDX-License-Identifier: Apache-2.0
"""Bounding boxes of people: (4,) x0 y0 x1 y1 in pixels, top left and bottom right corner."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera
from pear_ros.core.people import Array

Doubles = npt.NDArray[np.float64]

_SAME_PERSON_IOU = 0.35
"""Two boxes belong to one person above this intersection over union."""
_SAME_PERSON_CONTAINMENT = 0.7
"""Two boxes belong to one person above this intersection over the area of the smaller box."""


def same_person(a: Array, b: Array) -> bool:
    """Return whether two boxes (4,) overlap so much that they likely belong to one person."""
    return bool(same_person_matrix(a[None], b[None])[0, 0])


def same_person_matrix(a: Array, b: Array) -> npt.NDArray[np.bool_]:
    """Return (N, M) whether boxes (N, 4) and (M, 4) likely belong to one person, pair by pair."""
    intersection, area_a, area_b = _intersections_and_areas(a, b)
    same = intersection > _SAME_PERSON_IOU * (area_a + area_b - intersection)
    contained = intersection > _SAME_PERSON_CONTAINMENT * np.minimum(area_a, area_b)
    return np.asarray(same | contained)


def iou_matrix(a: Array, b: Array) -> Array:
    """Return (N, M) intersection over union of boxes (N, 4) and (M, 4); 0 if both are empty."""
    intersection, area_a, area_b = _intersections_and_areas(a, b)
    union = np.maximum(area_a + area_b - intersection, np.finfo(np.float32).tiny)
    return np.asarray(intersection / union)


def distinct(same: npt.NDArray[np.bool_]) -> list[int]:
    """Return the indices of distinct candidates: greedy non-maximum suppression.

    `same` (N, N): whether two candidates are of one person; the best candidates come first, and
    each is kept unless it is the same as one that was kept.
    """
    kept: list[int] = []
    for index in range(len(same)):
        if not same[index, kept].any():
            kept.append(index)
    return kept


def intersection_area(a: Array, b: Array) -> float:
    """Return the area, in square pixels, of the intersection of two boxes (4,)."""
    return float(_intersections_and_areas(a[None], b[None])[0][0, 0])


def _intersections_and_areas(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """(N, M) intersections of boxes (N, 4) and (M, 4), areas (N, 1) and (M,)."""
    low = np.maximum(a[:, None, :2], b[:, :2])  # (N, M, 2)
    sides = np.maximum(np.minimum(a[:, None, 2:], b[:, 2:]) - low, 0.0)
    sides_a, sides_b = (np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0) for boxes in (a, b))
    intersection = sides[..., 0] * sides[..., 1]
    return intersection, sides_a[:, :1] * sides_a[:, 1:], sides_b[:, 0] * sides_b[:, 1]


def move_boxes(boxes: Array, roots: Doubles, moved_roots: Doubles, camera: Camera) -> Array:
    """Return boxes (N, 4) of people after their roots have moved from `roots` to `moved_roots`.

    Roots (N, 3) are in the optical frame, metres. A box is shifted with the projection of its root
    and scaled with the inverse depth; it stays unchanged where either root projects to no pixel.
    """
    before, after = camera.project(np.stack([roots, moved_roots]))  # (N, 2) pixels
    visible = np.isfinite(before + after).all(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = roots[:, 2] / moved_roots[:, 2]
        corners = boxes.reshape(-1, 2, 2) - before[:, None]
        corners = corners * scale[:, None, None] + after[:, None]
    result: Array = np.where(visible[:, None], corners.reshape(-1, 4), boxes).astype(np.float32)
    return result
