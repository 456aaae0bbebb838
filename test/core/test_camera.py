# SPDX-License-Identifier: Apache-2.0
"""The camera: points to pixels and back, with and without lens distortion."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pear_ros.core.camera import Camera
from pear_ros.core.distortion import Distortion

WIDTH, HEIGHT = 1280, 720
NO_TURN = np.zeros(3)

LENSES = {
    "plumb_bob, 4": Distortion("plumb_bob", (-0.32, 0.11, 0.001, -0.002)),
    "plumb_bob, barrel": Distortion("plumb_bob", (-0.35, 0.12, 0.001, -0.002, -0.01)),
    "plumb_bob, pincushion": Distortion("plumb_bob", (0.12, -0.05, -0.001, 0.001, 0.01)),
    "rational": Distortion(
        "rational_polynomial", (0.52, -2.55, 0.0001, -0.0002, 1.5, 0.4, -2.37, 1.43)
    ),
    "thin prism": Distortion(
        "rational_polynomial", (0.3, 0.05, 0.0, 0.0, 0.0, 0.5, 0.1, 0.0, 0.001, 0.0, 0.002, 0.0)
    ),
    "tilted": Distortion(
        "rational_polynomial",
        (0.3, 0.05, 0.0, 0.0, 0.0, 0.5, 0.1, 0.0, 0.001, 0.0, 0.002, 0.0, 0.01, -0.02),
    ),
    "fisheye": Distortion("equidistant", (-0.012, 0.02, -0.011, 0.002)),
    "plain fisheye": Distortion("equidistant", (0.0, 0.0, 0.0, 0.0)),
}


def camera(lens: Distortion | None, focal: float = 0.8) -> Camera:
    f = focal * WIDTH
    return Camera(WIDTH, HEIGHT, f, 1.01 * f, 655.0, 350.0, distortion=lens)


@pytest.mark.parametrize("lens", [None, *LENSES.values()], ids=["none", *LENSES])
@settings(max_examples=50, deadline=None)
@given(
    u=st.floats(-0.5, WIDTH - 0.5),
    v=st.floats(-0.5, HEIGHT - 0.5),
    depth=st.floats(0.1, 100.0),
    focal=st.floats(0.8, 2.0),
)
def test_project_inverts_rays(
    lens: Distortion | None, u: float, v: float, depth: float, focal: float
) -> None:
    seen_by = camera(lens, focal)
    ray = seen_by.rays(np.array([[u, v]]))
    point = depth * np.append(ray[0], 1.0)
    np.testing.assert_allclose(seen_by.project(point), [u, v], atol=2e-3)


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES)
def test_project_agrees_with_opencv(lens: Distortion) -> None:
    seen_by = camera(lens)
    points = np.random.default_rng(3).uniform((-1.0, -0.6, 1.9), (1.0, 0.6, 4.0), (50, 3))
    matrix = np.array([[seen_by.fx, 0, seen_by.cx], [0, seen_by.fy, seen_by.cy], [0, 0, 1]])
    if lens.model == "equidistant":
        expected, _ = cv2.fisheye.projectPoints(
            points[:, None], NO_TURN, NO_TURN, matrix, np.array(lens.coefficients)
        )
    else:
        expected, _ = cv2.projectPoints(
            points, NO_TURN, NO_TURN, matrix, np.array(lens.coefficients)
        )
    pixels = seen_by.project(points.astype(np.float32))
    np.testing.assert_allclose(pixels, expected.reshape(-1, 2), atol=2e-3)
    assert np.abs(pixels - seen_by.pinhole.project(points)).max() > 1.0
    np.testing.assert_allclose(seen_by.rays(pixels), points[:, :2] / points[:, 2:], atol=1e-5)


def test_project_without_distortion_is_a_pinhole() -> None:
    seen_by = Camera(640, 480, 500.0, 400.0, 320.0, 240.0)
    np.testing.assert_array_equal(seen_by.project(np.array([[1.0, 0.5, 2.0]])), [[570.0, 340.0]])
    np.testing.assert_array_equal(seen_by.rays(np.array([[570.0, 340.0]])), [[0.5, 0.25]])
    assert seen_by.pinhole is seen_by


@pytest.mark.parametrize("lens", [None, *LENSES.values()], ids=["none", *LENSES])
def test_project_is_nan_behind_the_camera(lens: Distortion | None) -> None:
    behind = np.array([[[0.1, 0.1, -1.0], [0.1, 0.1, 0.0]]], np.float32)
    assert np.isnan(camera(lens).project(behind)).all()


@pytest.mark.parametrize("lens", [None, *LENSES.values()], ids=["none", *LENSES])
def test_project_and_rays_keep_shapes_also_empty_ones(lens: Distortion | None) -> None:
    seen_by = camera(lens)
    assert seen_by.project(np.ones((2, 0, 3), np.float32)).shape == (2, 0, 2)
    assert seen_by.rays(np.ones((0, 2), np.float32)).shape == (0, 2)
    one = seen_by.project(np.array([0.1, 0.2, 1.0], np.float32))
    many = seen_by.project(np.tile(np.array([0.1, 0.2, 1.0], np.float32), (2, 3, 1)))
    assert one.shape == (2,)
    np.testing.assert_array_equal(many, np.tile(one, (2, 3, 1)))


@pytest.mark.parametrize(
    ("lens", "reach"),
    [
        # r (1 + k1 r^2) is greatest where 1 + 3 k1 r^2 = 0.
        (Distortion("plumb_bob", (-0.3, 0.0, 0.0, 0.0)), math.sqrt(1 / 0.9)),
        # r / (1 + k4 r^2), where 1 = k4 r^2.
        (Distortion("rational_polynomial", (0, 0, 0, 0, 0, 0.25, 0, 0)), 2.0),
        (Distortion("plumb_bob", (0.1, 0.0, 0.0, 0.0, 0.0)), math.inf),
        # theta (1 + k1 theta^2), where 1 + 3 k1 theta^2 = 0.
        (Distortion("equidistant", (-1 / 3, 0.0, 0.0, 0.0)), math.tan(1.0)),
        (Distortion("equidistant", (0.0, 0.0, 0.0, 0.0)), math.inf),
    ],
)
def test_project_is_nan_beyond_the_reach_of_the_lens(lens: Distortion, reach: float) -> None:
    assert lens.reach == pytest.approx(reach)
    outside = min(1.01 * reach, 1e3)
    shown = lens.distort(np.array([[0.99 * min(reach, 1e3), 0.0], [outside, 0.0]]))
    assert np.isfinite(shown[0]).all()
    assert np.isnan(shown[1]).all() == math.isfinite(reach)


def test_rays_are_nan_where_the_lens_has_none() -> None:
    folding = Camera(
        1000, 1000, 500.0, 500.0, 500.0, 500.0, distortion=Distortion("plumb_bob", (-0.3, 0, 0, 0))
    )
    # The polynomial's greatest value is 0.703.
    rays = folding.rays(np.array([[840.0, 500.0], [900.0, 500.0]]))
    assert np.isfinite(rays[0]).all()
    assert np.isnan(rays[1]).all()


@pytest.mark.parametrize(
    ("model", "coefficients", "says"),
    [
        ("fov", (0.9,), "unknown distortion model 'fov'"),
        ("plumb_bob", (0.1,) * 8, "plumb_bob has 4 or 5 coefficients, not 8"),
        ("equidistant", (), "equidistant has 4 coefficients, not 0"),
        ("rational_polynomial", (0.1,) * 5, "8 or 12 or 14 coefficients, not 5"),
        ("plumb_bob", (0.1, math.nan, 0.0, 0.0), "not all finite"),
        ("equidistant", (1e308, 0.0, 0.0, 0.0), r"up to 1e\+308 belong to no lens"),
    ],
)
def test_distortion_refuses_unknown_models_and_wrong_coefficients(
    model: str, coefficients: tuple[float, ...], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        Distortion(model, coefficients)


@pytest.mark.parametrize(
    "lens",
    [
        Distortion("plumb_bob", (0.0, 0.0, 0.0, 0.0, 1e-310)),
        Distortion("rational_polynomial", (0, 0, 0, 0, 0, 1e-310, 0, 1e-310)),
        Distortion("equidistant", (0.0, 0.0, 0.0, 1e-310)),
        Distortion("plumb_bob", (-0.3, 0.0, 0.0, 0.0, 1e-200)),
    ],
)
def test_coefficients_of_memory_that_was_never_set_bend_nothing(lens: Distortion) -> None:
    cleared = Distortion(lens.model, tuple(c if abs(c) > 1e-9 else 0.0 for c in lens.coefficients))
    assert lens.reach == cleared.reach
    point = np.array([[0.1, -0.2]])
    np.testing.assert_allclose(lens.undistort(lens.distort(point)), point, atol=1e-9)
