# SPDX-License-Identifier: Apache-2.0
"""The rasteriser against a pixel-by-pixel reference, and where it must not draw."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pear_ros.rendering.raster
from pear_ros.core.camera import Camera
from pear_ros.core.distortion import Distortion
from pear_ros.rendering.raster import rasterize
from testing.raster_maps import depth_map, face_map

CAMERA = Camera(24, 18, 20.0, 22.0, 11.3, 8.6)


def reference(
    vertices: npt.NDArray[np.float64], faces: npt.NDArray[np.int64], camera: Camera
) -> npt.NDArray[np.float64]:
    """(F, height, width) depth of each triangle along the ray of each pixel, by solving for it.

    Infinity where the ray misses, NaN within a hundredth of the triangle's edge.
    """
    column, row = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    x, y = (column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy
    rays = np.stack([x, y, np.ones_like(x)], axis=-1)
    depths = np.full((len(faces), camera.height, camera.width), np.inf)
    for face, corners in enumerate(faces):
        points = vertices[corners]
        if abs(np.linalg.det(points)) < 1e-6:
            depths[face] = np.nan
            continue
        weights = rays @ np.linalg.inv(points)
        depth = 1.0 / weights.sum(axis=-1)
        weights *= depth[..., None]
        depths[face] = np.where(weights.min(axis=-1) > 0.0, depth, np.inf)
        depths[face][np.abs(weights).min(axis=-1) < 0.01] = np.nan
    return depths


def quad(depth: float, size: float = 1.0) -> npt.NDArray[np.float32]:
    """Corners of an upright square that faces the camera with the triangles of QUAD."""
    corners = np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)], np.float32) * size
    return np.column_stack([corners, np.full(4, depth, np.float32)])


QUAD = np.array([(0, 1, 2), (0, 2, 3)])

coordinate = st.floats(-1.5, 1.5, width=32)
point = st.tuples(coordinate, coordinate, st.floats(0.5, 4.0, width=32))


@settings(deadline=None)
@given(st.lists(st.tuples(point, point, point), min_size=1, max_size=4), st.integers(1, 400))
def test_rasterize_agrees_with_the_reference_off_edges(
    triangles: list[tuple[tuple[float, float, float], ...]], chunk_pixels: int
) -> None:
    vertices = np.array(triangles, np.float32).reshape(-1, 3)
    faces = np.arange(len(vertices)).reshape(-1, 3)
    depths = reference(vertices.astype(np.float64), faces, CAMERA)
    nearest = depths.min(axis=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pear_ros.rendering.raster, "_CHUNK_PIXELS", chunk_pixels)
        raster = rasterize(vertices, faces, CAMERA, cull_back_faces=False)
    certain = ~np.isnan(nearest)
    np.testing.assert_allclose(depth_map(raster)[certain], nearest[certain], rtol=1e-3)

    face = face_map(raster)
    seen = certain & np.isfinite(nearest)
    chosen = np.take_along_axis(depths, np.maximum(face, 0)[None], axis=0)[0]
    np.testing.assert_allclose(chosen[seen], nearest[seen], rtol=1e-3)


@settings(deadline=None)
@given(st.lists(st.tuples(point, point, point), min_size=1, max_size=4))
def test_barycentric_coordinates_reproduce_the_surface_point(
    triangles: list[tuple[tuple[float, float, float], ...]],
) -> None:
    vertices = np.array(triangles, np.float32).reshape(-1, 3)
    faces = np.arange(len(vertices)).reshape(-1, 3)
    raster = rasterize(vertices, faces, CAMERA, cull_back_faces=False)
    assert (raster.barycentric >= -1e-6).all()
    np.testing.assert_allclose(raster.barycentric.sum(axis=1), 1.0, atol=1e-5)

    sides = vertices[faces[:, 1:]] - vertices[faces[:, :1]]
    height = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
    height /= np.maximum(np.linalg.norm(sides, axis=2).max(axis=1), 1e-9)
    not_thin = height[raster.face] > 0.05
    steep = np.abs(np.linalg.det(vertices[faces].astype(np.float64)))[raster.face] > 1e-2
    points = raster.interpolate(vertices, faces)[not_thin & steep]
    row, column = np.divmod(raster.pixel[not_thin & steep], CAMERA.width)
    np.testing.assert_allclose(
        CAMERA.project(points), np.column_stack([column, row]), rtol=0, atol=0.05
    )


@given(st.floats(-30, 30), st.floats(-30, 30), st.floats(0.01, 30))
def test_rasterize_has_no_crack_and_no_pixel_twice_along_an_edge(
    u: float, v: float, size: float
) -> None:
    """Two triangles together cover exactly the half-open square that they share a diagonal of."""
    low, high = np.array([u, v], np.float32), np.array([u + size, v + size], np.float32)
    camera = Camera(24, 18, 1.0, 1.0, 0.0, 0.0)
    corners = [(low[0], low[1]), (low[0], high[1]), (high[0], high[1]), (high[0], low[1])]
    vertices = np.column_stack([np.array(corners, np.float32), np.ones(4, np.float32)])
    column, row = np.meshgrid(np.arange(24), np.arange(18))
    inside = (low[0] <= column) & (column < high[0]) & (low[1] <= row) & (row < high[1])
    joined = rasterize(vertices, QUAD, camera)
    np.testing.assert_array_equal(face_map(joined) >= 0, inside)
    assert len(joined.pixel) == sum(len(rasterize(vertices, f[None], camera).pixel) for f in QUAD)


def test_nearer_mesh_occludes_the_other() -> None:
    vertices = np.concatenate([quad(3.0), quad(2.0, size=0.3)])
    faces = np.concatenate([QUAD, QUAD + 4])
    for order in ([0, 1, 2, 3], [2, 3, 0, 1]):
        raster = rasterize(vertices, faces[order], CAMERA)
        near = np.isin(np.array(order)[raster.face], [2, 3])
        np.testing.assert_allclose(raster.depth[near], 2.0, rtol=1e-6)
        np.testing.assert_allclose(raster.depth[~near], 3.0, rtol=1e-6)
        assert near.sum() == len(rasterize(vertices[4:], QUAD, CAMERA).pixel)
        assert 0 < near.sum() < len(near)


def test_back_faces_are_culled_by_default() -> None:
    turned = QUAD[:, ::-1]
    assert len(rasterize(quad(2.0), QUAD, CAMERA).pixel) > 0
    assert len(rasterize(quad(2.0), turned, CAMERA).pixel) == 0
    both = rasterize(quad(2.0), turned, CAMERA, cull_back_faces=False)
    assert len(both.pixel) == len(rasterize(quad(2.0), QUAD, CAMERA).pixel)


@pytest.mark.parametrize("depth", [-1.0, 0.0, 0.04, np.nan])
def test_triangles_that_reach_behind_the_near_plane_are_left_out_whole(depth: float) -> None:
    vertices = quad(2.0)
    vertices[3, 2] = depth
    raster = rasterize(vertices, QUAD, CAMERA)
    assert set(raster.face.tolist()) == {0}
    assert np.isfinite(raster.depth).all()


def test_a_huge_near_triangle_fills_the_image() -> None:
    raster = rasterize(quad(0.06, size=1000.0), QUAD, CAMERA)
    np.testing.assert_array_equal(raster.pixel, np.arange(CAMERA.width * CAMERA.height))
    np.testing.assert_allclose(raster.depth, 0.06, rtol=1e-4)


@pytest.mark.parametrize("aside", [(-9.0, 0.0), (9.0, 0.0), (0.0, -9.0), (0.0, 9.0)])
def test_triangles_outside_the_image_cover_no_pixel(aside: tuple[float, float]) -> None:
    vertices = quad(2.0)
    vertices[:, :2] += aside
    raster = rasterize(vertices, QUAD, CAMERA)
    assert len(raster.pixel) == 0
    assert np.isinf(depth_map(raster)).all()
    assert raster.interpolate(vertices, QUAD).shape == (0, 3)


def test_rasterize_without_faces() -> None:
    raster = rasterize(quad(2.0), np.empty((0, 3), np.int64), CAMERA)
    assert (face_map(raster) == -1).all()


@pytest.mark.parametrize(
    "lens",
    [
        Distortion("plumb_bob", (-0.35, 0.12, 0.001, -0.002, 0.0)),
        Distortion("equidistant", (-0.01, 0.02, -0.01, 0.002)),
    ],
)
def test_rasterize_with_lens_distortion_agrees_with_project(lens: Distortion) -> None:
    camera = Camera(160, 120, 80.0, 82.0, 78.0, 61.0, distortion=lens)
    count = 60
    x, y = np.meshgrid(np.linspace(-1.2, 1.2, count), np.linspace(-0.9, 0.9, count), indexing="ij")
    vertices = np.stack([x, y, 1.0 + 0.2 * x], axis=-1).reshape(-1, 3).astype(np.float32)
    first = (np.arange(count - 1)[:, None] * count + np.arange(count - 1)).reshape(-1)
    faces = np.stack([first, first + 1, first + count, first + count, first + 1, first + count + 1])
    faces = faces.T.reshape(-1, 3)
    raster = rasterize(vertices, faces, camera, cull_back_faces=False)
    assert 0.7 * camera.width * camera.height < len(raster.pixel)
    row, column = np.divmod(raster.pixel, camera.width)
    projected = camera.project(raster.interpolate(vertices, faces))
    np.testing.assert_allclose(projected, np.stack([column, row], axis=1), atol=0.25)
    # Behind the camera, too near and out of reach nothing is drawn.
    assert len(rasterize(-vertices, faces, camera, cull_back_faces=False).pixel) == 0
    assert len(rasterize(vertices, faces, camera, cull_back_faces=False, near=2.0).pixel) == 0
