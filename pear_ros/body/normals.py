# SPDX-License-Identifier: Apache-2.0
"""Normals of triangle meshes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.core.people import Array


def vertex_normals(vertices: Array, faces: npt.NDArray[np.integer]) -> Array:
    """Return the outward unit normals (V, 3), means of the adjoining triangles' weighted by area.

    `vertices` (V, 3), `faces` (F, 3) counter-clockwise seen from outside. Zero for a vertex that no
    triangle uses.
    """
    corners = np.ascontiguousarray(faces.T, np.intp)
    a, b, c = (vertices.take(corner, axis=0).T for corner in corners)
    (x1, y1, z1), (x2, y2, z2) = b - a, c - a
    normals = np.empty((3, len(vertices)), np.float32)
    index = corners.reshape(-1)
    for axis, area in enumerate((y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2)):
        normals[axis] = np.bincount(index, np.tile(area, 3), minlength=len(vertices))
    length = np.sqrt((normals * normals).sum(axis=0))
    normals /= np.maximum(length, np.finfo(np.float32).tiny)
    return normals.T
