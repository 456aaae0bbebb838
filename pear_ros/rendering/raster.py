# SPDX-License-Identifier: Apache-2.0
"""Z-buffered software rasteriser in NumPy, without display or OpenGL.

Scan conversion in three levels, each vectorised: the triangles that face the
camera, the image rows that they cross, and the pixels of each row's span. An edge shared by two
triangles meets a row at exactly the same number in both, so spans end where the neighbour's begin:
no cracks, and no pixel drawn twice along an edge.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera
from pear_ros.core.people import Array

Faces = npt.NDArray[np.integer]
"""(F, 3) vertex indices, counter-clockwise seen from outside."""
Integers = npt.NDArray[np.intp]
Window = npt.NDArray[np.uint64]

_CHUNK_PIXELS = 1 << 16
"""Bounding-box pixels processed at once: keeps intermediate arrays in the processor's cache."""

_LEAST_INVERSE_DEPTH = np.float32(1e-9)

# Order of three values, smallest first, by 4 [a > b] + 2 [b > c] + [a > c].
_ASCENDING = np.array(
    [(0, 1, 2), (0, 1, 2), (0, 2, 1), (2, 0, 1), (1, 0, 2), (1, 2, 0), (0, 1, 2), (2, 1, 0)]
)


@dataclass(frozen=True)
class Raster:
    """The visible surface of a mesh at the K pixels that it covers."""

    height: int
    width: int
    pixel: Integers
    """(K,) index into the flattened image, row * width + column; ascending."""
    depth: Array
    """(K,) z of the nearest surface, metres."""
    face: Integers
    """(K,) index of the visible triangle."""
    barycentric: Array
    """(K, 3) perspective-correct barycentric coordinates in that triangle."""

    def interpolate(self, values: Array, faces: Faces) -> Array:
        """Interpolate per-vertex `values` (V, C) of the mesh at the K pixels; returns (K, C)."""
        corners = faces.take(self.face, axis=0)
        weights = self.barycentric
        result: Array = values.take(corners[:, 0], axis=0) * weights[:, :1]
        result += values.take(corners[:, 1], axis=0) * weights[:, 1:2]
        result += values.take(corners[:, 2], axis=0) * weights[:, 2:]
        return result


def rasterize(
    vertices: Array,
    faces: Faces,
    camera: Camera,
    *,
    cull_back_faces: bool = True,
    near: float = 0.05,
) -> Raster:
    """Return the nearest triangle at the centre of every pixel that the mesh covers.

    `vertices` (V, 3) in the camera's optical frame, metres. Triangles with a vertex that is NaN,
    behind the camera, closer than `near` metres or beyond the lens' reach are left out whole. Edges
    are straight in the image, also with lens distortion. For several meshes that may occlude each
    other concatenate their vertices and faces.
    """
    u, v, inverse_depth = _project(vertices, camera, near)
    triangles = _visible_triangles(faces, u, v, camera, cull_back_faces)
    box = triangles.bounding_box()
    window: Window = np.zeros((box.height, box.width), np.uint64)
    edges = _edges(triangles.corners, u, v, inverse_depth)
    for chunk in triangles.chunks():
        _draw(window.reshape(-1), box, triangles, edges, chunk)

    covered = np.flatnonzero(window.reshape(-1) != 0)
    keys = window.reshape(-1).take(covered)
    seen = (keys & np.uint64(0xFFFFFFFF)).astype(np.intp)
    depth = 1.0 / (keys >> np.uint64(32)).astype(np.uint32).view(np.float32)
    face = triangles.face.take(seen)
    row, column = np.divmod(covered, max(box.width, 1))
    row += box.top
    column += box.left
    corners = np.ascontiguousarray(faces.take(triangles.face, axis=0).T, np.intp)
    return Raster(
        height=camera.height,
        width=camera.width,
        pixel=row * camera.width + column,
        depth=depth,
        face=face,
        barycentric=_barycentric(corners, u, v, inverse_depth, seen, column, row, depth),
    )


@dataclass(frozen=True)
class _Box:
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class _Triangles:
    """The n triangles that may cover pixels, and their bounding boxes (half-open)."""

    face: Integers
    corners: Integers
    """(3, n) vertex indices from the top of the image to the bottom."""
    left: Integers
    right: Integers
    top: Integers
    bottom: Integers

    def bounding_box(self) -> _Box:
        if not len(self.face):
            return _Box(0, 0, 0, 0)
        left, top = int(self.left.min()), int(self.top.min())
        return _Box(left, top, int(self.right.max()) - left, int(self.bottom.max()) - top)

    def chunks(self) -> Iterator[slice]:
        """Return runs of triangles whose bounding boxes have about `_CHUNK_PIXELS` pixels."""
        pixels = np.cumsum((self.right - self.left) * (self.bottom - self.top))
        total = int(pixels[-1]) if len(pixels) else 0
        ends = np.searchsorted(pixels, np.arange(_CHUNK_PIXELS, total, _CHUNK_PIXELS))
        bounds = np.unique(np.concatenate([[0], ends, [len(self.face)]]))
        return (slice(int(a), int(b)) for a, b in itertools.pairwise(bounds))


def _project(vertices: Array, camera: Camera, near: float) -> tuple[Array, Array, Array]:
    """Return u, v and 1/z of each vertex, NaN where it is closer than `near`."""
    x, y, z = np.ascontiguousarray(vertices.T, np.float32)
    inverse_depth = np.reciprocal(np.where(z >= near, z, np.float32(np.nan)))
    if camera.distortion is not None:
        pixels = camera.project(vertices)
        pixels[np.isnan(inverse_depth)] = np.nan
        u, v = np.ascontiguousarray(pixels.T)
        return u, v, inverse_depth
    u = np.float32(camera.fx) * x * inverse_depth + np.float32(camera.cx)
    v = np.float32(camera.fy) * y * inverse_depth + np.float32(camera.cy)
    return u, v, inverse_depth


def _visible_triangles(
    faces: Faces, u: Array, v: Array, camera: Camera, cull_back_faces: bool
) -> _Triangles:
    corners = np.ascontiguousarray(faces.T, np.intp)
    a, b, c = corners
    u0, v0 = u.take(a), v.take(a)
    # Twice the signed area; negative when counter-clockwise, as the image's v points down.
    # Comparisons with NaN are false, which drops what lies behind the camera.
    area = (u.take(b) - u0) * (v.take(c) - v0) - (v.take(b) - v0) * (u.take(c) - u0)
    facing = area < 0.0 if cull_back_faces else area != 0.0
    face = np.flatnonzero(facing & np.isfinite(area))

    corners = corners.take(face, axis=1)
    us, vs = u.take(corners), v.take(corners)
    left, right = _pixels_between(us.min(0), us.max(0), camera.width)
    top, bottom = _pixels_between(vs.min(0), vs.max(0), camera.height)
    inside = np.flatnonzero((left < right) & (top < bottom))

    face, corners, vs = face.take(inside), corners.take(inside, axis=1), vs.take(inside, axis=1)
    order = _ASCENDING.take(4 * (vs[0] > vs[1]) + 2 * (vs[1] > vs[2]) + (vs[0] > vs[2]), axis=0)
    corners = np.take_along_axis(corners, order.T, axis=0)
    return _Triangles(
        face, corners, left.take(inside), right.take(inside), top.take(inside), bottom.take(inside)
    )


def _pixels_between(low: Array, high: Array, size: int) -> tuple[Integers, Integers]:
    """Return the first pixels at or after `low` and at or after `high`, clipped to the image."""
    first = np.clip(np.ceil(low), 0, size).astype(np.intp)
    end = np.clip(np.ceil(high), 0, size).astype(np.intp)
    return first, end


def _edges(corners: Integers, u: Array, v: Array, inverse_depth: Array) -> Array:
    """Return the edges (3n, 5) from upper to lower end: v, u, du/dv, 1/z, d(1/z)/dv.

    Of n triangles' (3, n) corners first all long edges (top to bottom), then top to middle, then
    middle to bottom.
    """
    top, middle, bottom = corners
    upper = np.concatenate([top, top, middle])
    lower = np.concatenate([bottom, middle, bottom])
    edges = np.empty((len(upper), 5), np.float32)
    edges[:, 0], edges[:, 1], edges[:, 3] = v[upper], u[upper], inverse_depth[upper]
    with np.errstate(divide="ignore", invalid="ignore"):  # horizontal edges, which no row crosses
        per_row = 1.0 / (v[lower] - edges[:, 0])
        edges[:, 2] = (u[lower] - edges[:, 1]) * per_row
        edges[:, 4] = (inverse_depth[lower] - edges[:, 3]) * per_row
    return edges


def _draw(window: Window, box: _Box, triangles: _Triangles, edges: Array, chunk: slice) -> None:
    """Draw the triangles of one chunk into the flattened `window`.

    A pixel's entry is the bits of 1/z, which order as the numbers do, above the triangle's index:
    the greatest entry is the nearest surface.
    """
    count = len(triangles.face)
    top = triangles.top[chunk]
    owner, row = _ranges(top, triangles.bottom[chunk] - top)
    owner += chunk.start
    above_middle = row < edges[2 * count :, 0].take(owner)
    u_long, inverse_long = _cross(edges, owner, row)
    u_short, inverse_short = _cross(edges, owner + np.where(above_middle, count, 2 * count), row)

    first, end = _pixels_between(
        np.minimum(u_long, u_short), np.maximum(u_long, u_short), box.left + box.width
    )
    with np.errstate(divide="ignore", invalid="ignore"):  # empty spans
        slope = (inverse_short - inverse_long) / (u_short - u_long)
        inverse_first = inverse_long + (first - u_long) * slope
    offset = (row - box.top) * box.width + first - box.left

    span, pixel = _ranges(offset, end - first)
    step = (pixel - offset.take(span)).astype(np.float32)
    inverse = inverse_first.astype(np.float32).take(span) + step * slope.take(span)
    np.maximum(inverse, _LEAST_INVERSE_DEPTH, out=inverse)
    key = inverse.view(np.uint32).astype(np.uint64) << np.uint64(32)
    key |= owner.astype(np.uint64).take(span)
    np.maximum.at(window, pixel, key)


def _ranges(start: Integers, length: Integers) -> tuple[Integers, Integers]:
    """Return the integers of many ranges, concatenated, after the index of each one's range."""
    owner = np.repeat(np.arange(len(start)), length)
    shift = start - (np.cumsum(length) - length)
    return owner, np.arange(len(owner)) + shift.take(owner)


def _cross(edges: Array, edge: Integers, row: Integers) -> tuple[Array, Array]:
    """Return u and 1/z where edges cross rows."""
    v0, u0, du, inverse0, dinverse = edges.take(edge, axis=0).T
    below = row.astype(np.float32) - v0
    return u0 + below * du, inverse0 + below * dinverse


def _barycentric(
    corners: Integers,
    u: Array,
    v: Array,
    inverse_depth: Array,
    seen: Integers,
    column: Integers,
    row: Integers,
    depth: Array,
) -> Array:
    """Return the barycentric coordinates (K, 3) in triangles `seen` (K,) of `corners` (3, n).

    At pixels (column, row) and `depth` (K,). A coordinate over z is linear in the image: two planes
    per triangle, evaluated per pixel.
    """
    a, b, c = corners
    planes = np.empty((corners.shape[1], 6), np.float32)
    planes[:, 0], planes[:, 1] = u[a], v[a]
    to_b, to_c = (u[b] - u[a], v[b] - v[a]), (u[c] - u[a], v[c] - v[a])
    per_area = 1.0 / (to_b[0] * to_c[1] - to_b[1] * to_c[0])
    for_b, for_c = per_area * inverse_depth[b], per_area * inverse_depth[c]
    planes[:, 2], planes[:, 3] = to_c[1] * for_b, -to_c[0] * for_b
    planes[:, 4], planes[:, 5] = -to_b[1] * for_c, to_b[0] * for_c

    u0, v0, b_du, b_dv, c_du, c_dv = planes.take(seen, axis=0).T
    right, below = column - u0, row - v0
    weights = np.empty((len(seen), 3), np.float32)
    # Clipped: rounding can leave a thin triangle by a little.
    weights[:, 1] = np.clip((right * b_du + below * b_dv) * depth, 0.0, 1.0)
    weights[:, 2] = np.clip((right * c_du + below * c_dv) * depth, 0.0, 1.0 - weights[:, 1])
    weights[:, 0] = 1.0 - weights[:, 1] - weights[:, 2]
    return weights
