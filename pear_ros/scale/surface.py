# SPDX-License-Identifier: Apache-2.0
"""What a camera sees of people's meshes, at points spread evenly over the image."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from pear_ros.core.camera import Camera
from pear_ros.core.people import Array
from pear_ros.rendering.raster import Faces, Integers, rasterize


@dataclass(frozen=True)
class Surface:
    """K points at which N people are seen, none of them on the rim of a person."""

    person: Integers
    """(K,) whose point it is, 0 to N - 1."""
    row: Integers
    """(K,) of the pixel whose centre shows the point."""
    column: Integers
    """(K,)"""
    points: Array
    """(K, 3) in the camera's optical frame, metres."""


def visible_surface(vertices: Array, faces: Faces, camera: Camera, step: int) -> Surface:
    """Points of meshes (N, V, 3), optical frame, at every `step`-th pixel of every such row.

    Each shows the nearest of all people. Those next to other people or to the background are left
    out: where a mesh is off by a little they would show something else.
    """
    count, size = vertices.shape[:2]
    coarse = _coarse(camera, step)
    everybody = (np.arange(count)[:, None, None] * size + faces).reshape(-1, 3)
    seen = rasterize(vertices.reshape(-1, 3), everybody, coarse)
    who = np.full((coarse.height + 2, coarse.width + 2), -1, np.intp)
    row, column = np.divmod(seen.pixel, max(coarse.width, 1))
    owner = seen.face // len(faces)
    who[row + 1, column + 1] = owner
    same = np.ones(len(owner), bool)
    for down, right in ((0, 1), (1, 0), (1, 2), (2, 1)):
        same &= who[row + down, column + right] == owner
    row, column, depth = row[same], column[same], seen.depth[same]
    rays = coarse.rays(np.column_stack([column, row]))
    points = np.column_stack([rays * depth[:, None], depth]).astype(np.float32)
    start = step // 2
    return Surface(owner[same], row * step + start, column * step + start, points)


def median_depth(depth: Array, surface: Surface) -> Array:
    """(K,) metres: the median of what an image (height, width) of depth knows around each point.

    The lower of two: half way across an edge there is nothing. NaN where the pixel itself or most
    of its neighbours are not known.
    """
    height, width = depth.shape
    around = np.empty((5, len(surface.row)), np.float32)
    for n, (down, right) in enumerate(((0, 0), (0, -1), (-1, 0), (0, 1), (1, 0))):
        row = np.clip(surface.row + down, 0, height - 1)
        around[n] = depth[row, np.clip(surface.column + right, 0, width - 1)]
    around[~((around > 0.0) & np.isfinite(around))] = np.nan
    unknown = np.isnan(around)
    known = 5 - unknown.sum(axis=0)
    around.sort(axis=0)  # NaN comes last.
    middle: Array = around[np.maximum(known - 1, 0) // 2, np.arange(around.shape[1])]
    middle[unknown[0] | (known < 3)] = np.nan
    return middle


def _coarse(camera: Camera, step: int) -> Camera:
    """The camera whose pixels are every `step`-th of the given one's."""
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
