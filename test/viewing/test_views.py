# SPDX-License-Identifier: Apache-2.0
"""Points from which scenes are seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("viser", reason="needs the extra view")

from pear_ros.viewing.moment import LEVEL_CAMERA
from pear_ros.viewing.views import Vector, Viewpoint, Window, above, beside, through
from testing.open_people import CAMERA

DESKTOP = Window(1280 / 720, free=0.73)
PHONE = Window(390 / 844, free_height=0.6)
PLACES = st.tuples(st.floats(-9.0, 9.0), st.floats(-9.0, 9.0), st.floats(0.0, 3.0))


@pytest.mark.parametrize("window", (DESKTOP, PHONE))
@pytest.mark.parametrize("view", (beside, above))
@given(st.lists(PLACES, min_size=1, max_size=6))
def test_all_points_are_in_the_free_part_of_the_window(
    view: Callable[[Vector, Window], Viewpoint], window: Window, places: list[Vector]
) -> None:
    assert view(np.array(places), window).shows(np.array(places), window)


@pytest.mark.parametrize("window", (DESKTOP, PHONE))
def test_what_panels_cover_or_is_behind_is_not_seen(window: Window) -> None:
    people = np.array([[4.0, -1.0, 0.0], [5.0, 1.0, 1.8]])
    found = beside(people, window)
    whole = replace(window, free=1.0, free_height=1.0)
    forward = found.look_at - found.position
    right = np.cross(forward, found.up)
    right /= np.linalg.norm(right)
    down = np.cross(forward / np.linalg.norm(forward), right)
    edge = np.tan(0.5 * found.fov) * np.linalg.norm(forward)
    aside = window.aspect * right if window.free < 1.0 else down
    covered = found.look_at + 0.8 * edge * aside
    assert found.shows(covered[None], whole)
    assert not found.shows(covered[None], window)
    assert not found.shows((found.position - forward)[None], whole)


@pytest.mark.parametrize("window", (DESKTOP, PHONE))
def test_picture_of_the_camera_is_in_the_window_above_its_panel(window: Window) -> None:
    corners = np.array([[x, y] for x in (0, CAMERA.width - 1) for y in (0, CAMERA.height - 1)])
    rays = (corners - (CAMERA.cx, CAMERA.cy)) / (CAMERA.fx, CAMERA.fy)
    points = LEVEL_CAMERA.apply(3.0 * np.column_stack([rays, np.ones(4)]))
    found = through(CAMERA, LEVEL_CAMERA, window)
    assert found.shows(points * (1.0, 0.999, 0.999), replace(window, free=1.0))


def test_nobody_is_expected_before_the_camera() -> None:
    assert beside(np.empty((0, 3)), DESKTOP).shows(np.array([[2.0, 0.0, 1.0]]), DESKTOP)
