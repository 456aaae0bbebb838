# SPDX-License-Identifier: Apache-2.0
"""Losses: 0 at the truth, known values beside it, nothing of what is unknown."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from pear_ros.body import load_open_body
from pear_ros.body.kinematics import rotation_matrices
from pear_ros.core.camera import Camera
from pear_ros.pear.placement import image_points
from pear_ros.pear.prediction import VECTOR_SIZE
from pear_ros.rendering.raster import rasterize

torch = pytest.importorskip("torch", reason="training needs torch")

from pear_ros.pear.cuda_mesh import body_on  # noqa: E402
from pear_ros.training.body_parts import BACKGROUND, PARTS, UNKNOWN, vertex_parts  # noqa: E402
from pear_ros.training.losses import TruePeople, known_mean, parameter_losses  # noqa: E402
from pear_ros.training.people import PredictedPeople, predicted_people  # noqa: E402
from pear_ros.training.pixel_losses import PixelLosses, TruePixels, vertex_normals  # noqa: E402

BODY = body_on(torch.device("cpu"), load_open_body())
SIZE = 64


def vectors(people: int = 2) -> torch.Tensor:
    """People who stand before the camera, arms a little apart."""
    rng = torch.Generator().manual_seed(1)
    numbers = torch.zeros(people, VECTOR_SIZE)
    numbers[:, :312] = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(52)
    numbers[:, 4] = -1.0  # Facing the camera.
    numbers[:, 6:132] += 0.1 * torch.randn(people, 126, generator=rng)
    numbers[:, 318:328] = torch.randn(people, 10, generator=rng)
    numbers[:, -3:] = torch.tensor([0.0, 0.3, 0.9])
    return numbers


def truth(people: PredictedPeople) -> TruePeople:
    weights = {
        "joint_weights": torch.ones(people.joints.shape[:2]),
        "vertex_weights": torch.ones(people.vertices.shape[:2]),
    }
    held = [field.name for field in fields(TruePeople) if field.name not in weights]
    return TruePeople(**{name: getattr(people, name).detach() for name in held}, **weights)


def first_of(people: Any) -> Any:
    """The first of people."""
    return replace(people, **{f.name: getattr(people, f.name)[:1] for f in fields(people)})


def numbers(losses: dict[str, torch.Tensor]) -> dict[str, float]:
    return {name: float(loss) for name, loss in losses.items()}


def test_all_losses_are_zero_at_the_truth_and_have_gradients_beside_it() -> None:
    true = truth(predicted_people(vectors(), BODY))
    at_truth = parameter_losses(predicted_people(vectors(), BODY), true)
    assert not any(numbers(at_truth).values())
    beside = (vectors() + 0.05).requires_grad_()
    losses = parameter_losses(predicted_people(beside, BODY), true)
    for name, loss in losses.items():
        assert float(loss) > 0.0, name
        (gradient,) = torch.autograd.grad(loss, beside, retain_graph=True)
        assert gradient.isfinite().all() and gradient.any(), name


def test_rotations_count_by_their_angle() -> None:
    people = predicted_people(vectors(1), BODY)
    angle = 0.8
    turn = torch.from_numpy(rotation_matrices(np.array([0.0, angle, 0.0])))
    turned = people.rotations.clone()
    turned[0, 5] = turned[0, 5] @ turn.float()
    loss = parameter_losses(replace(people, rotations=turned), truth(people))["rotations"]
    assert float(loss) == pytest.approx(2 * (1 - np.cos(angle)) / 22, rel=1e-4)


def test_lengths_do_not_depend_on_where_the_body_stands() -> None:
    people = predicted_people(vectors(1), BODY)
    moved = replace(people, joints=people.joints + 1.0, vertices=people.vertices + 1.0)
    losses = parameter_losses(moved, truth(people))
    assert float(losses["joints"]) == pytest.approx(0.0, abs=1e-6)
    assert float(losses["vertices"]) == pytest.approx(0.0, abs=1e-6)
    longer = replace(people, joints=people.joints.clone())
    longer.joints[0, 20, 1] += 0.54
    assert float(parameter_losses(longer, truth(people))["joints"]) == pytest.approx(0.54 / 162)


def test_what_is_unknown_takes_no_part() -> None:
    people = predicted_people((vectors() + 0.05).requires_grad_(), BODY)
    true = truth(predicted_people(vectors(), BODY))
    expected = parameter_losses(first_of(people), first_of(true))
    unknown = {field.name: getattr(true, field.name).clone() for field in fields(TruePeople)}
    for name, values in unknown.items():
        values[1] = 1.0 if name.endswith("weights") else torch.nan
    found = parameter_losses(people, TruePeople(**unknown))
    assert numbers(found) == pytest.approx(numbers(expected), rel=1e-4)
    for name, values in unknown.items():
        values[:] = 1.0 if name.endswith("weights") else torch.nan
    losses = parameter_losses(people, TruePeople(**unknown))
    assert sum(float(loss) for loss in losses.values()) == 0.0
    sum(losses.values()).backward()  # type: ignore[union-attr]


def test_joints_and_vertices_count_by_their_weights() -> None:
    people, true = (
        predicted_people(vectors() + 0.05, BODY),
        truth(predicted_people(vectors(), BODY)),
    )
    expected = numbers(parameter_losses(first_of(people), first_of(true)))
    true.joint_weights[1] = true.vertex_weights[1] = 0.0
    found = numbers(parameter_losses(people, true))
    for name in ("rotations", "joints", "vertices", "keypoints"):
        assert found[name] == pytest.approx(expected[name], rel=1e-4)
    true.joint_weights[0, 40] = 0.0
    less = numbers(parameter_losses(people, true))
    assert less["rotations"] != found["rotations"] and less["joints"] != found["joints"]


def test_no_gradient_comes_back_from_where_truth_is_unknown() -> None:
    found = torch.tensor([1.0, torch.inf, 3.0], requires_grad=True)
    loss = known_mean(found, torch.tensor([2.0, torch.nan, 1.0]), 2)
    loss.backward()
    assert float(loss.detach()) == pytest.approx((1 + 4) / 2)
    assert found.grad is not None and found.grad.tolist() == pytest.approx([-1.0, 0.0, 2.0])


def test_projection_is_that_of_placement() -> None:
    people = predicted_people(vectors(), BODY)
    whole = np.tile([0.0, 0.0, 256.0], (2, 1))
    expected = image_points(people.joints.numpy(), people.camera.numpy(), whole)
    assert np.abs(people.keypoints.numpy() - expected).max() < 1e-3


def hard_truth(people: PredictedPeople) -> TruePixels:
    """What the hard raster shows of people, in SIZE pixels; the upper left corner is unknown."""
    faces, step = BODY.faces, 256 // SIZE
    parts_of, none = vertex_parts(BODY), torch.full((SIZE, SIZE, 3), torch.nan)
    mask = torch.zeros(len(people.camera), SIZE, SIZE)
    parts = torch.full(mask.shape, BACKGROUND)
    normals = none.repeat(len(mask), 1, 1, 1)
    of_vertices = vertex_normals(people.vertices, torch.from_numpy(faces.astype(np.int64)))
    for n, (vertices, camera) in enumerate(zip(people.vertices, people.camera, strict=True)):
        tx, ty, s = camera.tolist()
        place = vertices.numpy() + np.array([-tx, -ty, 24 / s], np.float32)
        centre = (128 - (step - 1) / 2) / step
        pinhole = Camera(SIZE, SIZE, 3072 / step, 3072 / step, centre, centre)
        raster = rasterize(place, faces, pinhole)
        index = torch.from_numpy(raster.pixel)
        mask[n].view(-1)[index] = 1.0
        parts[n].view(-1)[index] = torch.from_numpy(parts_of[faces[raster.face, 0]])
        shown = raster.interpolate(of_vertices[n].numpy(), faces)
        normals[n].view(-1, 3)[index] = torch.from_numpy(shown)
    mask[:, :5, :5], parts[:, :5, :5] = torch.nan, UNKNOWN
    vertices = people.vertices
    return TruePixels(
        mask=mask,
        parts=parts,
        normals=normals,
        picture=mask.nan_to_num()[..., None].expand(-1, -1, -1, 3) * 0.4,
        colours=torch.full_like(vertices, 0.4),
        confidence=torch.ones(len(mask), 4),
    )


def test_pixel_losses_are_small_at_the_truth_and_lead_back_to_it() -> None:
    pixels = PixelLosses(load_open_body(), SIZE, torch.device("cpu"))
    people = predicted_people(vectors(), BODY)
    true = hard_truth(people)
    at_truth = pixels(people, true)
    assert float(at_truth["mask"]) < 0.3  # Soft edges are never those of a hard mask.
    assert float(at_truth["normals"]) < 0.1
    assert float(at_truth["colours"]) < 0.05
    beside = vectors()
    beside[:, -3] += 0.06
    beside[:, 6:12] += 0.2
    beside.requires_grad_()
    losses = pixels(predicted_people(beside, BODY), true)
    for name in ("mask", "parts", "normals"):
        assert float(losses[name]) > float(at_truth[name]), name
    for name, loss in losses.items():
        (gradient,) = torch.autograd.grad(loss, beside, retain_graph=True)
        assert gradient.isfinite().all() and gradient.any(), name
        if name in ("mask", "parts"):
            assert (gradient[:, -3] > 0).all(), name  # Back along x.


def test_pixels_of_no_confidence_and_unknown_ones_take_no_part() -> None:
    pixels = PixelLosses(load_open_body(), SIZE, torch.device("cpu"))
    people = predicted_people(vectors(), BODY)
    true = hard_truth(people)
    moved = replace(people, camera=people.camera + 0.05)
    none = pixels(moved, replace(true, confidence=torch.zeros(2, 4)))
    assert not any(numbers(none).values())
    one = pixels(moved, replace(true, confidence=torch.tensor([[1.0] * 4, [0.0] * 4])))
    alone = numbers(pixels(first_of(moved), first_of(true)))
    assert numbers(one) == pytest.approx(alone, abs=1e-6)
    unknown = replace(
        true,
        mask=torch.full_like(true.mask, torch.nan),
        parts=torch.full_like(true.parts, UNKNOWN),
        normals=torch.full_like(true.normals, torch.nan),
        colours=torch.full_like(true.colours, torch.nan),
    )
    assert sum(float(loss) for loss in pixels(moved, unknown).values()) == 0.0


def test_every_joint_belongs_to_one_part() -> None:
    joints = [joint for part in PARTS.values() for joint in part]
    assert sorted(joints) == sorted(BODY.joint_names)
