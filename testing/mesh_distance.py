# SPDX-License-Identifier: Apache-2.0
"""Distances of points from the surface of a mesh."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Float64 = npt.NDArray[np.float64]

_CANDIDATES = 16
"""Number of triangles tested for each point, those with the nearest centres."""


def distances(points: npt.ArrayLike, vertices: npt.ArrayLike, faces: npt.ArrayLike) -> Float64:
    """Return the distances (N,) from points (N, 3) to the nearest triangle, in the points' unit.

    Never less than the true distance; more only where many small triangles are close to a large
    one that is nearer.
    """
    places = np.asarray(points, np.float64)
    triangles = np.asarray(vertices, np.float64)[np.asarray(faces)]
    _, near = cKDTree(triangles.mean(axis=1)).query(places, min(_CANDIDATES, len(triangles)))
    found = [_to_triangles(places, triangles[column]) for column in near.T]
    return np.asarray(np.min(found, axis=0))


def _to_triangles(points: Float64, triangles: Float64) -> Float64:
    """Return the distance (N,) from each point (N, 3) to its triangle (N, 3, 3)."""
    a, b, c = triangles.transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    squared = np.maximum(_dot(normal, normal), np.finfo(np.float64).tiny)
    height = _dot(points - a, normal) / squared
    foot = points - height[:, None] * normal
    inside = np.ones(len(points), bool)
    nearest = np.full(len(points), np.inf)
    for start, end in ((a, b), (b, c), (c, a)):
        along = end - start
        inside &= _dot(np.cross(along, foot - start), normal) >= 0.0
        length = np.maximum(_dot(along, along), np.finfo(np.float64).tiny)
        share = np.clip(_dot(points - start, along) / length, 0.0, 1.0)
        to_edge = np.linalg.norm(points - start - share[:, None] * along, axis=1)
        nearest = np.minimum(nearest, to_edge)
    return np.where(inside, np.abs(height) * np.sqrt(squared), nearest)


def _dot(first: Float64, second: Float64) -> Float64:
    return np.asarray((first * second).sum(axis=1))
