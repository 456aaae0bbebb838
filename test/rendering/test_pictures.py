# SPDX-License-Identifier: Apache-2.0
"""Shading, overlays, side views and contact sheets: place, colour and orientation of people."""

from __future__ import annotations

import numpy as np
import pytest

from pear_ros.body.normals import vertex_normals
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, Image
from pear_ros.rendering.colours import id_colour
from pear_ros.rendering.contact_sheet import contact_sheet
from pear_ros.rendering.overlay import draw_overlay
from pear_ros.rendering.raster import rasterize
from pear_ros.rendering.shading import shade
from pear_ros.rendering.side_view import SideWindow, draw_side_view

CAMERA = Camera.from_field_of_view(160, 120)
GREY = np.full((120, 160, 3), 128, np.uint8)

CUBE = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32) * 0.5
CUBE_SIDES = np.array(
    [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
)
CUBE_FACES = CUBE_SIDES[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)


def cube(x: float, y: float, z: float, size: float = 1.0) -> Array:
    return CUBE * np.float32(size) + np.array([x, y, z], np.float32)


def changed(picture: Image, before: Image) -> tuple[slice, slice]:
    """The box of all pixels that differ."""
    rows, columns = np.nonzero((picture != before).any(axis=-1))
    return slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


def test_normals_of_a_cube_point_outwards() -> None:
    normals = vertex_normals(CUBE, CUBE_FACES)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1.0, atol=1e-6)
    assert (np.sign(normals) == np.sign(CUBE)).all()


def test_normals_of_unused_vertices_are_zero() -> None:
    lone = np.concatenate([CUBE, np.zeros((1, 3), np.float32)])
    np.testing.assert_array_equal(vertex_normals(lone, CUBE_FACES)[8], 0.0)


@pytest.mark.parametrize(("light", "expected"), [((0, 0, -1), 200.0), ((0, 0, 1), 50.0)])
def test_shade_is_full_towards_the_light_and_ambient_behind(
    light: tuple[float, float, float], expected: float
) -> None:
    vertices = np.array([(-1, -1, 2), (-1, 1, 2), (1, 1, 2)], np.float32)
    faces = np.array([(0, 1, 2)])
    raster = rasterize(vertices, faces, CAMERA)
    lit = shade(raster, vertices, faces, (200.0, 100.0, 0.0), light=light, ambient=0.25)
    assert len(lit) > 0
    np.testing.assert_allclose(lit, lit * 0 + np.array([1.0, 0.5, 0.0]) * expected, atol=1e-4)


def test_shade_interpolates_vertex_colours() -> None:
    vertices = np.array([(-1, -1, 2), (-1, 1, 2), (1, 1, 2)], np.float32)
    faces = np.array([(0, 1, 2)])
    raster = rasterize(vertices, faces, CAMERA)
    lit = shade(raster, vertices, faces, np.eye(3), ambient=1.0)
    np.testing.assert_allclose(lit, raster.barycentric, atol=1e-6)


def test_overlay_draws_on_a_copy_each_person_in_the_colour_of_the_id() -> None:
    meshes = np.stack([cube(-1.0, 0.3, 4.0), cube(1.0, 0.3, 4.0)])
    picture = draw_overlay(GREY, CAMERA, meshes, CUBE_FACES, ["person_1", "person_2"], opacity=1.0)
    assert (GREY == 128).all()
    for mesh, track_id in zip(meshes, ["person_1", "person_2"], strict=True):
        column, row = np.round(CAMERA.project(mesh.mean(axis=0))).astype(int)
        shown = picture[row, column, ::-1] / 255.0
        colour = np.array(id_colour(track_id))
        np.testing.assert_allclose(shown / shown.max(), colour / colour.max(), atol=0.03)


def test_overlay_labels_people_inside_the_picture_and_only_those_in_it() -> None:
    above = draw_overlay(GREY, CAMERA, cube(0, -1.5, 3)[None], CUBE_FACES, ["person_1"])
    rows, _ = changed(above, GREY)
    assert rows.start >= 0 and rows.stop < 60
    outside = draw_overlay(GREY, CAMERA, cube(9, 0, 3)[None], CUBE_FACES, ["person_1"])
    np.testing.assert_array_equal(outside, GREY)


def test_overlay_without_people_is_the_image() -> None:
    empty = np.empty((0, 8, 3), np.float32)
    np.testing.assert_array_equal(draw_overlay(GREY, CAMERA, empty, CUBE_FACES, []), GREY)


def test_side_view_has_depth_to_the_right_and_height_to_scale() -> None:
    window = SideWindow(near=1.0, far=5.0, top=-2.0, bottom=2.0)
    empty = draw_side_view(np.empty((0, 8, 3), np.float32), CUBE_FACES, [], 300, 300, window)
    boxes = []
    for mesh in (cube(0, 0, 2), cube(0, 0, 4), cube(0, -1, 4), cube(3, 0, 2)):
        picture = draw_side_view(mesh[None], CUBE_FACES, ["person_1"], 300, 300, window)
        boxes.append(changed(picture, empty))
    near, far, high, sideways = boxes
    assert far[1].start > near[1].stop
    assert far[0] == near[0]
    assert high[0].start < far[0].start and high[1] == far[1]
    assert sideways == near
    height, width = near[0].stop - near[0].start, near[1].stop - near[1].start
    assert abs(height - width) <= 1
    assert far[1].start - near[1].start == pytest.approx(2 * width, abs=2)


def test_side_view_is_from_the_right_of_the_camera() -> None:
    """Of two bodies at the same depth and height the one further to the right is seen."""
    meshes = np.stack([cube(1, 0, 3), cube(-1, 0, 3, size=0.9)])
    window = SideWindow(2.0, 4.0, -1.0, 1.0)
    alone = draw_side_view(meshes[:1], CUBE_FACES, ["person_1"], 200, 200, window)
    both = draw_side_view(meshes, CUBE_FACES, ["person_1", "person_2"], 200, 200, window)
    np.testing.assert_array_equal(alone, both)


def test_side_view_without_a_window_contains_all_people() -> None:
    meshes = np.stack([cube(0, 0, 2), cube(3, -2, 9)])
    picture = draw_side_view(meshes, CUBE_FACES, ["person_1", "person_2"], 240, 320)
    colours = [np.array(id_colour(name)) for name in ("person_1", "person_2")]
    saturated = np.ptp(picture.astype(int), axis=-1) > 25
    hues = picture[saturated][:, ::-1] / picture[saturated].max(axis=1, keepdims=True)
    for colour in colours:
        assert (np.abs(hues - colour / colour.max()).max(axis=1) < 0.05).sum() > 100


def test_side_windows_grow_by_union() -> None:
    first = SideWindow.containing(cube(0, 0, 2)[None])
    assert first == SideWindow(near=1.0, far=3.0, top=-1.0, bottom=1.0)
    both = first.union(SideWindow.containing(cube(0, -3, 6)[None]))
    assert both == SideWindow(near=1.0, far=7.0, top=-4.0, bottom=1.0)


def test_contact_sheet_sets_pictures_in_reading_order() -> None:
    tiles = [np.full((40, 80, 3), value, np.uint8) for value in (10, 60, 110)]
    sheet = contact_sheet(tiles, columns=2, tile_width=40)
    assert sheet.shape == (44, 84, 3)
    assert [sheet[10, 10, 0], sheet[10, 60, 0], sheet[30, 10, 0]] == [10, 60, 110]


def test_contact_sheet_refuses_nothing_and_mixed_sizes() -> None:
    with pytest.raises(ValueError, match="at least one"):
        contact_sheet([], 2)
    with pytest.raises(ValueError, match="one size"):
        contact_sheet([GREY, GREY[:50]], 2)


def test_colours_are_stable_and_differ_between_neighbouring_ids() -> None:
    colours = [id_colour(f"person_{number}") for number in range(10)]
    assert len(set(colours)) == 10
    assert id_colour("someone") == id_colour("someone")
    assert all(0.0 <= channel <= 1.0 for colour in colours for channel in colour)
