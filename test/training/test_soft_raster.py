# SPDX-License-Identifier: Apache-2.0
"""The differentiable rasteriser: gradients by finite differences, pictures by the hard raster."""

from __future__ import annotations

import numpy as np
import pytest

from pear_ros.body import load_open_body
from pear_ros.core.camera import Camera
from pear_ros.rendering.raster import rasterize
from testing.raster_maps import depth_map, face_map

torch = pytest.importorskip("torch", reason="training needs torch")

from pear_ros.training.soft_raster import Blur, render  # noqa: E402

SIZE = 12
SHARP = Blur(sigma=0.1, gamma=5e-3, reach=4.0)
# Counter-clockwise seen from the camera, v pointing down.
NEAR = [[2.3, 1.7, 2.0], [3.1, 9.2, 2.1], [9.4, 4.4, 2.3]]
FAR = [[1.2, 3.3, 3.0], [6.2, 10.1, 3.2], [8.1, 2.2, 2.9]]


def triangles(*corners: list[list[float]]) -> tuple[torch.Tensor, torch.Tensor]:
    points = torch.tensor([[point for part in corners for point in part]], dtype=torch.float64)
    return points, torch.arange(3 * len(corners)).reshape(-1, 3)


def test_gradients_are_those_of_finite_differences() -> None:
    points, faces = triangles(NEAR, FAR)
    points = points.repeat(2, 1, 1)
    points[1, :, 0] += 1.3
    colours = torch.rand(2, 6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    blur = Blur(sigma=0.8, gamma=0.5)

    def outputs(points: torch.Tensor, colours: torch.Tensor) -> tuple[torch.Tensor, ...]:
        image = render(points, faces, SIZE, colours, blur)
        # Where a triangle's box ends, pixels come and go: only the weighty ones count.
        seen = image.silhouette.detach() > 0.05
        return image.silhouette[seen], image.depth[seen], image.attributes[seen]

    points.requires_grad_()
    colours.requires_grad_()
    assert torch.autograd.gradcheck(outputs, (points, colours), eps=1e-6, atol=1e-5)


def test_a_step_along_the_gradient_moves_the_triangle_to_the_target() -> None:
    points, faces = triangles(NEAR)
    target = render(points + torch.tensor([1.0, 0.5, 0.0]), faces, SIZE).silhouette
    shift = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([shift], lr=0.1)
    for _ in range(60):
        optimiser.zero_grad()
        ((render(points + shift, faces, SIZE).silhouette - target) ** 2).sum().backward()
        optimiser.step()
    assert shift.detach().numpy() == pytest.approx([1.0, 0.5, 0.0], abs=0.05)


def test_the_nearer_triangle_is_seen_whatever_the_order() -> None:
    for front, first in (((0.0, 1.0), NEAR), ((1.0, 0.0), FAR)):
        points, faces = triangles(first, FAR if first is NEAR else NEAR)
        colours = torch.tensor([[[0.0]] * 3 + [[1.0]] * 3], dtype=torch.float64)
        image = render(points, faces, SIZE, colours, SHARP)
        # Pixel (4, 4) is within both triangles; the depth of NEAR's plane there is below 2.3.
        assert float(image.attributes[0, 4, 4, 0]) == pytest.approx(front[0], abs=1e-3)
        assert 2.0 < float(image.depth[0, 4, 4]) < 2.3


def test_triangles_that_are_not_before_the_camera_are_left_out() -> None:
    points, faces = triangles(NEAR)
    behind, nan = points.clone(), points.clone()
    behind[0, 1, 2] = -1.0
    nan[0, 1, 0] = torch.nan
    batch = torch.cat([points, behind, nan, points[:, [0, 2, 1]]])
    covered = render(batch, faces, SIZE).silhouette.amax((1, 2))
    assert covered[0] > 0.99
    assert covered[1:].tolist() == [0.0, 0.0, 0.0]
    both = render(batch[3:], faces, SIZE, cull_back_faces=False).silhouette
    assert both.amax() > 0.99


def test_the_body_looks_as_in_the_hard_raster() -> None:
    body, size = load_open_body(), 96
    pose = np.zeros((1, 55, 3), np.float32)
    pose[0, 0] = (np.pi, 0.0, 0.0)  # Optical axes from the body's.
    pose[0, 16] = (0.0, -1.2, 0.0)  # An arm before the trunk.
    place = np.array([[0.0, -0.2, 2.5]], np.float32)
    betas = np.zeros((1, body.num_betas), np.float32)
    expression = np.zeros((1, body.num_expression), np.float32)
    vertices = body.vertices(pose, betas, expression, place)[0]
    camera = Camera(size, size, 1.3 * size, 1.3 * size, (size - 1) / 2, (size - 1) / 2)
    faces = body.faces_of("low")
    hard = rasterize(vertices, faces, camera)
    points = np.concatenate([camera.project(vertices), vertices[:, 2:]], axis=1)
    parts = np.asarray(body.weights.argmax(axis=1)).ravel()
    one_hot = np.eye(55, dtype=np.float32)[parts]
    image = render(
        torch.from_numpy(points)[None],
        torch.from_numpy(faces.astype(np.int64)),
        size,
        torch.from_numpy(one_hot)[None],
        SHARP,
    )
    covered = image.silhouette[0].numpy() > 0.5
    expected = np.zeros(size * size, bool)
    expected[hard.pixel] = True
    expected = expected.reshape(size, size)
    assert (covered & expected).sum() / (covered | expected).sum() > 0.97

    # Away from edges: neither part nor depth jumps between neighbours.
    shown, deep = face_map(hard), depth_map(hard)
    corner = parts[faces]
    part = np.where((corner == corner[:, :1]).all(axis=1), corner[:, 0], -1)[shown]
    inner = expected & (part >= 0)
    with np.errstate(invalid="ignore"):
        for axis in (0, 1):
            for step in (1, -1):
                inner &= np.roll(part, step, axis) == part
                inner &= np.abs(np.roll(deep, step, axis) - deep) < 0.02
    assert inner.sum() > 200
    assert (image.attributes[0].argmax(-1).numpy() == part)[inner].all()
    assert np.abs(image.depth[0].numpy() - deep)[inner].max() < 0.02
