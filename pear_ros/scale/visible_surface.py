# SPDX-License-Identifier: Apache-2.0
"""The surface of meshes that a camera sees, sampled on a grid, and the depth measured there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pear_ros.core.camera import Camera
from pear_ros.core.people import Array
from pear_ros.rendering.raster import Faces, Integers, rasterize


@dataclass(frozen=True)
class SurfacePoints:
    """K visible points of the surfaces of N people, none of them at an outline."""

    person: Integers
    """(K,) index of the person, 0 to N - 1."""
    row: Integers
    """(K,) row of the pixel whose centre shows the point."""
    column: Integers
    """(K,) column of this pixel."""
    points: Array
    """(K, 3) position in the camera's optical frame, metres."""
    face: Integers
    """(K,) index of the triangle of the person's mesh that is seen."""


def visible_surface(vertices: Array, faces: Faces, camera: Camera, step: int) -> SurfacePoints:
    """Return the points of meshes that are seen at every `step`-th pixel of every `step`-th row.

    `vertices` (N, V, 3) in the optical frame, metres; `faces` (F, 3). A point belongs to the
    nearest person at its pixel. Points next to another person or to the background are left out:
    where a mesh is slightly misplaced, the pixel shows something else.
    """
    count, size = vertices.shape[:2]
    coarse = _coarse_camera(camera, step)
    all_faces = (np.arange(count)[:, None, None] * size + faces).reshape(-1, 3)  # (N F, 3)
    fragments = rasterize(vertices.reshape(-1, 3), all_faces, coarse)
    # Person at each pixel, -1 for none, with a border of one pixel.
    person_map = np.full((coarse.height + 2, coarse.width + 2), -1, np.intp)
    row, column = np.divmod(fragments.pixel, max(coarse.width, 1))
    person, face = np.divmod(fragments.face, len(faces))
    person_map[row + 1, column + 1] = person
    inside = np.ones(len(person), bool)
    for down, right in ((0, 1), (1, 0), (1, 2), (2, 1)):
        inside &= person_map[row + down, column + right] == person
    row, column, depth = row[inside], column[inside], fragments.depth[inside]
    rays = coarse.rays(np.column_stack([column, row]))  # (K, 2)
    points = np.column_stack([rays * depth[:, None], depth]).astype(np.float32)
    start = step // 2
    rows, columns = row * step + start, column * step + start
    return SurfacePoints(person[inside], rows, columns, points, face[inside])


def median_depth(depth: Array, surface: SurfacePoints) -> Array:
    """Return (K,) depth, metres: the median of the known ones at each point and its 4 neighbours.

    `depth` (height, width), metres. Of an even number, the lower median is taken, since the mean of
    two values across an edge is the depth of nothing. NaN where the depth of the pixel itself or of
    most of its neighbours is unknown.
    """
    height, width = depth.shape
    samples = np.empty((5, len(surface.row)), np.float32)
    for n, (down, right) in enumerate(((0, 0), (0, -1), (-1, 0), (0, 1), (1, 0))):
        row = np.clip(surface.row + down, 0, height - 1)
        samples[n] = depth[row, np.clip(surface.column + right, 0, width - 1)]
    samples[~((samples > 0.0) & np.isfinite(samples))] = np.nan
    unknown = np.isnan(samples)
    known = 5 - unknown.sum(axis=0)
    samples.sort(axis=0)  # NaN comes last.
    median: Array = samples[np.maximum(known - 1, 0) // 2, np.arange(samples.shape[1])]
    median[unknown[0] | (known < 3)] = np.nan
    return median


def _coarse_camera(camera: Camera, step: int) -> Camera:
    """The camera whose pixels are every `step`-th of those of `camera`."""
    start = step // 2
    return replace(
        camera,
        width=-((start - camera.width) // step),
        height=-((start - camera.height) // step),
        fx=camera.fx / step,
        fy=camera.fy / step,
        cx=(camera.cx - start) / step,
        cy=(camera.cy - start) / step,
    )
