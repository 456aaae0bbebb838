# SPDX-License-Identifier: Apache-2.0
"""The floor in a depth image: of one floor, of several, and of none."""

from __future__ import annotations

import numpy as np
import pytest

from pear_ros.core.camera import Camera
from pear_ros.core.ground import GroundPlane
from pear_ros.core.people import Array
from pear_ros.scale.floor_fit import fit_floor
from testing.synthetic_depth import DepthErrors, corrupt_depth

CAMERA = Camera(320, 240, 260.0, 260.0, 159.5, 119.5)
UP = np.array([0.0, -1.0, 0.0])


def level(height: float, tilt: float) -> Array:
    """Depth of a floor, infinite above the horizon."""
    pixels = np.stack(np.meshgrid(np.arange(320), np.arange(240)), axis=-1).astype(np.float32)
    rays = np.concatenate([CAMERA.rays(pixels), np.ones((240, 320, 1), np.float32)], axis=-1)
    below = GroundPlane.from_tilt(height, tilt, 0.0, 0.0).below(rays)
    return np.where(below > 1e-3, height / np.maximum(below, 1e-3), np.inf).astype(np.float32)


def angle(ground: GroundPlane, tilt: float) -> float:
    true = GroundPlane.from_tilt(1.0, tilt, 0.0, 0.0).normal
    return float(np.degrees(np.arccos(min(1.0, true @ ground.normal))))


@pytest.mark.parametrize(
    ("height", "tilt"), [(0.4, -5.0), (0.4, 5.0), (0.4, 25.0), (1.2, 5.0), (1.2, 25.0)]
)
def test_floor_before_a_wall_is_found(height: float, tilt: float) -> None:
    depth = np.minimum(level(height, np.radians(tilt)), np.float32(4.0))
    noisy = corrupt_depth(np.random.default_rng(1), depth, DepthErrors())
    ground = fit_floor(noisy, CAMERA, UP)
    assert ground is not None
    assert angle(ground, np.radians(tilt)) < 1.5
    assert angle(ground, np.radians(tilt)) < 4.0 * np.degrees(ground.tilt_std)
    assert ground.height == pytest.approx(height, abs=0.05)


def test_wall_behind_a_strip_of_floor_is_not_the_floor() -> None:
    # Only the last 70 cm before the wall are in the image.
    depth = np.minimum(level(1.2, np.radians(-5.0)), np.float32(4.0))
    noisy = corrupt_depth(np.random.default_rng(1), depth, DepthErrors())
    ground = fit_floor(noisy, CAMERA, UP)
    assert ground is None or angle(ground, np.radians(-5.0)) < 10.0


def test_floor_is_the_largest_of_several_level_surfaces() -> None:
    tilt = np.radians(20.0)
    depth = np.minimum(level(1.2, tilt), np.float32(5.0))
    table = level(0.5, tilt)
    depth[:, 220:] = np.where(table[:, 220:] < 2.0, table[:, 220:], depth[:, 220:])
    ground = fit_floor(depth, CAMERA, UP)
    assert ground is not None
    assert ground.height == pytest.approx(1.2, abs=0.05)


def test_no_floor_is_found_where_there_is_none() -> None:
    ceiling = level(1.0, np.radians(10.0))[::-1].copy()
    assert fit_floor(np.full((240, 320), 3.0, np.float32), CAMERA, UP) is None
    assert fit_floor(np.full((240, 320), np.nan, np.float32), CAMERA, UP) is None
    assert fit_floor(ceiling, CAMERA, UP) is None
    scattered = np.random.default_rng(2).uniform(0.5, 6.0, (240, 320)).astype(np.float32)
    assert fit_floor(scattered, CAMERA, UP) is None


def test_tiny_depth_images_are_no_error() -> None:
    assert fit_floor(np.ones((1, 1), np.float32), Camera(1, 1, 1.0, 1.0, 0.0, 0.0), UP) is None
    assert fit_floor(np.ones((2, 3), np.float32), Camera(3, 2, 2.0, 2.0, 1.0, 0.5), UP) is None
