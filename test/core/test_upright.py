# SPDX-License-Identifier: Apache-2.0
"""Images turned upright: the camera of the turned image, and people turned back."""

from __future__ import annotations

import numpy as np
import pytest

from pear_ros.core.camera import Camera
from pear_ros.core.distortion import Distortion
from pear_ros.core.estimator import Detection
from pear_ros.core.people import People
from pear_ros.core.upright import Turn, turned
from testing.open_people import open_body, person, t_pose

DEGREES = pytest.mark.parametrize("degrees", [90, 180, 270])
LENSES = {
    "none": None,
    "plumb_bob": Distortion("plumb_bob", (-0.3, 0.1, 0.01, -0.02, 0.001)),
    "thin prism": Distortion(
        "rational_polynomial", (0.1, 0.02, 0.01, -0.02, 0, 0, 0, 0, 0.01, 0.02, -0.01, 0.005)
    ),
    "equidistant": Distortion("equidistant", (-0.01, 0.02, -0.01, 0.002)),
}


def camera_with(lens: Distortion | None) -> Camera:
    return Camera(64, 48, 50.0, 51.0, 30.0, 25.0, distortion=lens)


@DEGREES
@pytest.mark.parametrize("lens", LENSES)
def test_a_point_is_at_the_same_pixel_of_the_turned_image(degrees: int, lens: str) -> None:
    camera = camera_with(LENSES[lens])
    turn = Turn(degrees, camera)
    points = np.random.default_rng(0).uniform((-0.5, -0.4, 1.0), (0.5, 0.4, 3.0), (20, 3))
    quarters = degrees // 90
    for x, y in np.rint(camera.project(points)).astype(int):
        image = np.zeros((48, 64), np.float32)
        if 0 <= x < 64 and 0 <= y < 48:
            image[y, x] = 1.0
            ((row, column),) = np.argwhere(turned(image, degrees))
            assert turned(image, degrees).shape == (turn.camera.height, turn.camera.width)
            ray = turn.camera.rays(np.array([column, row], np.float64))
            before = camera.rays(np.array([x, y], np.float64))
            for _ in range(quarters):
                before = np.array([-before[1], before[0]])
            np.testing.assert_allclose(ray, before, atol=1e-5)


@DEGREES
def test_people_come_back_to_the_camera(degrees: int) -> None:
    """Mesh, joints, pixels and box of the same person, seen by both cameras."""
    camera = camera_with(LENSES["plumb_bob"])
    turn = Turn(degrees, camera)
    seen = person(t_pose(left_knee=(0.5, 0.2, 0.0)), (0.3, 0.2, 4.0))
    seen = seen.__class__(
        **{
            **vars(seen),
            "keypoints": turn.camera.project(seen.joints),
            "box": np.float32([1.0, 2.0, 30.0, 40.0]),
        }
    )
    people = People(turn.camera, "model", "body", (seen,))
    (back,) = turn.back(people).persons

    body = open_body()
    meshes = [
        body.vertices(
            one.smplx.pose[None],
            one.smplx.betas[None],
            one.smplx.expression[None],
            one.smplx.transl[None],
        )[0]
        for one in (seen, back)
    ]
    turned_mesh, mesh = meshes
    for _ in range((360 - degrees) // 90):
        x, y, z = turned_mesh.T
        turned_mesh = np.column_stack([-y, x, z])
    np.testing.assert_allclose(mesh, turned_mesh, atol=1e-5)
    np.testing.assert_allclose(camera.project(back.joints), back.keypoints, atol=1e-3)
    assert turn.back(people).camera == camera
    (box,) = turn.detections([Detection(back.box)])
    np.testing.assert_allclose(box.box, seen.box, atol=1e-4)


@DEGREES
def test_the_whole_image_is_the_whole_image(degrees: int) -> None:
    turn = Turn(degrees, camera_with(None))
    (whole,) = turn.detections([Detection(np.float32([0, 0, 64, 48]))])
    assert list(whole.box) == [0, 0, turn.camera.width, turn.camera.height]


def test_no_turn_keeps_the_lens() -> None:
    tilted = Distortion("rational_polynomial", (0.1, *[0.0] * 11, 0.02, -0.03))
    assert Turn(0, camera_with(tilted)).camera.distortion == tilted
    half = Turn(180, camera_with(tilted)).camera.distortion
    assert half is not None and half.coefficients[12:] == (-0.02, 0.03)
