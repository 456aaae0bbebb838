# SPDX-License-Identifier: Apache-2.0
"""Bodies that a network saw in a crop, placed before the robot's camera."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pear_ros.body import kinematics, load_open_body
from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.core.distortion import Distortion
from pear_ros.pear import placement
from pear_ros.pear.placement import (
    closed_form,
    compiled_fit,
    image_points,
    place,
    place_people,
)

Array = npt.NDArray[np.floating]

WIDTH, HEIGHT = 1280, 720
BODY = load_open_body()
PLUMB_BOB = Distortion("plumb_bob", (-0.3, 0.1, 0.001, -0.002, 0.0))
FISHEYE = Distortion("equidistant", (-0.01, 0.02, -0.01, 0.002))


@pytest.fixture(scope="module", params=["compiled", "NumPy"], autouse=True)
def fit(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test once with and once without Numba."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "NumPy":
            patch.setattr(placement, "compiled_fit", lambda: None)
        else:
            pytest.importorskip("numba", reason="the compiled form")
        yield


def camera(focal: float, distortion: Distortion | None = None) -> Camera:
    f = focal * WIDTH
    return Camera(WIDTH, HEIGHT, f, 1.01 * f, 650.0, 350.0, distortion=distortion)


def people(count: int, seed: int = 0, bend: float = 0.25) -> tuple[Array, Array]:
    """Joints (B, 55, 3) and vertices (B, V, 3) of people who face the camera more or less."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, bend, (count, 55, 3)).astype(np.float32)
    pose[:, 0] = (
        Rotation.from_rotvec([np.pi, 0, 0]) * Rotation.from_rotvec(pose[:, 0])
    ).as_rotvec()
    betas = rng.normal(0, 1, (count, BODY.num_betas)).astype(np.float32)
    rest = np.zeros((count, BODY.num_expression), np.float32), np.zeros((count, 3), np.float32)
    return BODY.joints(pose, betas, *rest), BODY.vertices(pose, betas, *rest)[:, ::20]


def seen_in_crops(
    vertices: Array, middles: Array, side: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Network cameras and squares: the people are in the middle and nearly fill their crop."""
    low, high = vertices[..., :2].min(axis=1), vertices[..., :2].max(axis=1)
    scale = 256 / 1.25 / 128 / (high - low).max(axis=1)
    square = np.column_stack([middles - 0.625 * side, np.full(len(middles), 1.25 * side)])
    return np.column_stack([(low + high) / 2, scale]), square


def difference(
    points: Array, pelvis: Array, placed: tuple[Array, Array], pixels: Array, seen_by: Camera
) -> npt.NDArray[np.float64]:
    """(B,) mean distance in pixels of the placed points from `pixels`."""
    rotation, transl = placed
    moved = (points - pelvis) @ rotation.swapaxes(1, 2) + pelvis + transl[:, None]
    distance = np.linalg.norm(seen_by.project(moved) - pixels, axis=2)
    return np.asarray(distance.mean(axis=1))


def test_the_networks_picture_is_that_of_its_camera() -> None:
    points = np.array([[[0.0, 0.0, 0.0], [0.5, -0.2, 0.3]]])
    crop_camera, square = np.array([[0.1, -0.2, 1.2]]), np.array([[100.0, 50.0, 512.0]])
    pixels = image_points(points, crop_camera, square)
    distance = 24 / 1.2
    u = 128 + 3072 * (0.5 - 0.1) / (0.3 + distance)
    v = 128 + 3072 * (-0.2 + 0.2) / (0.3 + distance)
    np.testing.assert_allclose(pixels[0, 1], [100 + 2 * u, 50 + 2 * v], rtol=1e-8)
    np.testing.assert_allclose(pixels[0, 0, 1], 50 + 2 * (128 + 3072 * 0.2 / distance), rtol=1e-8)


def test_nothing_is_seen_behind_the_networks_camera() -> None:
    points = np.array([[[0.1, 0.1, -21.0]]])
    square = np.array([[0.0, 0.0, 256.0]])
    assert np.isnan(image_points(points, np.array([[0.0, 0.0, 1.2]]), square)).all()
    assert np.isnan(image_points(points + 22.0, np.array([[0.0, 0.0, -1.2]]), square)).all()


def test_closed_form_is_exact_in_the_plane_of_the_origin() -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform(-0.8, 0.8, (5, 20, 3)) * [1, 1, 0]
    crop_camera = np.column_stack([rng.uniform(-0.3, 0.3, (5, 2)), rng.uniform(0.8, 1.5, 5)])
    squares = np.column_stack([rng.uniform(0, 500, (5, 2)), rng.uniform(100, 600, 5)])
    seen_by = replace(camera(0.9), fy=camera(0.9).fx)
    transl = closed_form(crop_camera, squares, seen_by)
    found = seen_by.project(points + transl[:, None])
    np.testing.assert_allclose(found, image_points(points, crop_camera, squares), atol=0.01)


@pytest.mark.parametrize("lens", [None, PLUMB_BOB, FISHEYE], ids=["none", "plumb_bob", "fisheye"])
@settings(max_examples=20, deadline=None)
@given(
    x=st.floats(-0.4, 0.4), y=st.floats(-0.2, 0.2), z=st.floats(1.5, 20.0), seed=st.integers(0, 99)
)
def test_place_inverts_projection(
    lens: Distortion | None, x: float, y: float, z: float, seed: int
) -> None:
    seen_by = camera(0.8, lens)
    points = np.random.default_rng(seed).normal(0, 0.2, (2, 30, 3))
    transl = np.array([[x * z, y * z, z], [0.0, 0.0, z]])
    pixels = seen_by.project(points + transl[:, None])
    np.testing.assert_allclose(place(points, pixels, seen_by), transl, atol=2e-3 * z)


def test_points_that_are_not_seen_or_weigh_nothing_do_not_count() -> None:
    seen_by = camera(1.0)
    points = np.random.default_rng(3).normal(0, 0.3, (2, 12, 3))
    transl = np.array([[0.3, -0.2, 4.0], [0.1, 0.2, 5.0]])
    pixels = seen_by.project(points + transl[:, None])
    pixels[:, 3] += 50.0
    pixels[:, 5] = np.nan
    weights = np.ones(12)
    weights[3] = 0.0
    np.testing.assert_allclose(place(points, pixels, seen_by, weights), transl, atol=0.01)
    pixels[0, :9] = np.nan
    placed = place(points, pixels, seen_by, weights)
    assert np.isnan(placed[0]).all()
    np.testing.assert_allclose(placed[1], transl[1], atol=0.01)


@pytest.mark.parametrize("lens", [None, PLUMB_BOB, FISHEYE], ids=["none", "plumb_bob", "fisheye"])
@pytest.mark.parametrize("focal", [1.0, 2.0])
@pytest.mark.parametrize("middle", [(640, 360), (160, 360), (1150, 560)])
def test_meshes_project_to_where_the_network_saw_them(
    lens: Distortion | None, focal: float, middle: tuple[float, float]
) -> None:
    joints, vertices = people(6)
    side = 250.0
    crop_camera, squares = seen_in_crops(vertices, np.tile(middle, (6, 1)), side)
    seen_by, pelvis = camera(focal, lens), joints[:, :1]
    pixels = image_points(vertices, crop_camera, squares)
    placed = place_people(joints, crop_camera, squares, seen_by)
    off = difference(vertices, pelvis, placed, pixels, seen_by) / side
    assert off.mean() < 0.01, "of the box's side"
    rotation = placed[0]
    np.testing.assert_allclose(
        rotation @ rotation.swapaxes(1, 2), np.tile(np.eye(3), (6, 1, 1)), atol=1e-5
    )


def test_turning_is_what_makes_people_beside_the_axis_fit() -> None:
    joints, vertices = people(4)
    crop_camera, squares = seen_in_crops(vertices, np.tile((1150, 560), (4, 1)), 250.0)
    seen_by, pelvis = camera(0.8), joints[:, :1]
    pixels = image_points(vertices, crop_camera, squares)
    upright = np.tile(np.eye(3), (4, 1, 1))
    moved = place(joints, image_points(joints, crop_camera, squares), seen_by)
    without = difference(vertices, pelvis, (upright, moved), pixels, seen_by)
    authors = closed_form(crop_camera, squares, seen_by)
    official = difference(vertices, pelvis, (upright, authors), pixels, seen_by)
    placed = place_people(joints, crop_camera, squares, seen_by)
    turned = difference(vertices, pelvis, placed, pixels, seen_by)
    assert (turned < without).all()
    assert (turned < official).all()
    assert 2.5 * turned.mean() < min(without.mean(), official.mean())
    # About the angle between the optical axis and the person.
    angle = np.degrees(Rotation.from_matrix(placed[0]).magnitude())
    np.testing.assert_allclose(angle, 28.0, atol=8.0)


def test_a_distant_camera_needs_no_turning() -> None:
    joints, vertices = people(3)
    crop_camera, squares = seen_in_crops(vertices, np.tile((639.5, 359.5), (3, 1)), 200.0)
    # The network's own camera, in this image.
    far = Camera(WIDTH, HEIGHT, 12 * 250.0, 12 * 250.0, 639.5, 359.5)
    rotation, transl = place_people(joints, crop_camera, squares, far)
    assert np.degrees(Rotation.from_matrix(rotation).magnitude()).max() < 0.05
    np.testing.assert_allclose(transl[:, :2], -crop_camera[:, :2], atol=1e-3)
    np.testing.assert_allclose(transl[:, 2], 24 / crop_camera[:, 2], rtol=1e-3)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [-1.0, 0.0, np.nan, 1e9], ids=str)
def test_placement_of_one_person_does_not_affect_others(scale: float) -> None:
    joints, vertices = people(3)
    middles = np.array([(300, 300), (900, 200), (1100, 650)])
    crop_camera, squares = seen_in_crops(vertices, middles, 300.0)
    crop_camera[1, 2] = scale
    together = place_people(joints, crop_camera, squares, camera(1.0))
    for one in (0, 2):
        this = slice(one, one + 1)
        alone = place_people(joints[this], crop_camera[this], squares[this], camera(1.0))
        for batched, single in zip(together, alone, strict=True):
            np.testing.assert_allclose(batched[this], single, atol=1e-5)
            assert np.isfinite(single).all()
    if not scale >= 0.0:
        assert np.isnan(together[1][1]).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 9999), hidden=st.integers(0, 55), scale=st.floats(0.01, 100.0))
def test_compiled_and_numpy_place_alike(seed: int, hidden: int, scale: float) -> None:
    fit = pytest.importorskip("pear_ros.pear.compiled_placement", reason="needs Numba").fit
    rng = np.random.default_rng(seed)
    joints = rng.normal(0, 0.4, (3, 55, 3))
    rays = rng.normal(0, 0.2, (3, 1, 2)) + rng.normal(0, 0.05, (3, 56, 2))
    rays[1, 1 + rng.permutation(55)[:hidden]] = np.nan
    joints[2] *= scale
    rotation, transl = np.empty((3, 3, 3)), np.empty((3, 3))
    constants = (
        placement.JOINT_WEIGHTS,
        placement._FEWEST,
        placement._TURN_LEVER,
        placement._NEAREST,
    )
    fit(joints, rays, *constants, rotation, transl)
    expected = placement._fit(joints, rays)
    # Ill-conditioned people apart, the difference is rounding.
    for found, wanted in zip((rotation, transl), expected, strict=True):
        np.testing.assert_allclose(found[:2], wanted[:2], rtol=1e-6, atol=1e-8)
    assert np.isnan(rotation[1]).all() == np.isnan(transl[1]).all() == (hidden > 51)
    assert np.isfinite(rotation[0]).all() and np.isfinite(transl[0]).all()


@pytest.mark.parametrize("error", [ImportError("no numba"), OSError("broken llvmlite")])
def test_people_are_placed_without_numba(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def fail(name: str, *arguments: Any) -> Any:
        if name in ("pear_ros.pear.compiled_placement", "pear_ros.body.compiled_kinematics"):
            raise error
        return real_import(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", fail)
    assert compiled_fit.__wrapped__() is None
    assert kinematics._compiled_posed.__wrapped__() is None


def test_placement_of_zero_people() -> None:
    empty = np.empty((0, 55, 3)), np.empty((0, 3)), np.empty((0, 3))
    for source in IntrinsicsSource:
        rotation, transl = place_people(*empty, replace(camera(1.0), source=source))
        assert rotation.shape == (0, 3, 3)
        assert transl.shape == (0, 3)


def test_without_calibration_the_authors_form_serves() -> None:
    joints, vertices = people(2)
    crop_camera, squares = seen_in_crops(vertices, np.tile((300, 300), (2, 1)), 300.0)
    guessed = Camera.from_field_of_view(WIDTH, HEIGHT)
    rotation, transl = place_people(joints, crop_camera, squares, guessed)
    np.testing.assert_array_equal(rotation, np.tile(np.eye(3), (2, 1, 1)))
    np.testing.assert_array_equal(transl, closed_form(crop_camera, squares, guessed))
    crop_camera[0, 2] = -1.0
    _, transl = place_people(joints, crop_camera, squares, guessed)
    assert np.isnan(transl).all(axis=1).tolist() == [True, False]
