# SPDX-License-Identifier: Apache-2.0
"""Tests of the judgement of runtimes: what it says, and what it refuses."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pear_ros.body.ehm import EhmBody
from pear_ros.body.kinematics import rotation_matrices
from pear_ros.core.people import Array, Image
from pear_ros.pear.body import PearBody
from pear_ros.pear.crop import Squares, crop_pixels
from pear_ros.pear.files import find_model_files, load_body_files
from pear_ros.pear.prediction import LAYOUT, VECTOR_SIZE
from pear_ros.pear.runtimes.accuracy import (
    MAX_MEAN_ROTATION_DEG,
    MAX_MEAN_VERTEX_MM,
    MAX_PLACE_MM,
    MAX_ROTATION_DEG,
    MAX_VERTEX_MM,
    Verdict,
    judge,
)
from pear_ros.pear.runtimes.reference_crops import bundled_crops, infer_bundled
from testing.parity.recipe import rng

GOOD = Verdict(0.04, 0.3, 0.2, 1.1, 2.0)
ROTATIONS = 52


class Seeing:
    """Keeps what it is shown, as a runtime would see it."""

    def infer(self, image: Image, places: Squares) -> Array:
        self.crops = crop_pixels(image, places)
        return np.zeros((len(places), VECTOR_SIZE), np.float32)


def part(name: str) -> slice:
    """Where `name` of LAYOUT is in a vector."""
    names = list(LAYOUT)
    start = sum(LAYOUT[other] for other in names[: names.index(name)])
    return slice(start, start + LAYOUT[name])


def people(count: int = 3) -> Array:
    """Vectors of people with proper rotations, near the mean."""
    random = rng("people", 1)
    vectors = 0.3 * random.standard_normal((count, VECTOR_SIZE)).astype(np.float32)
    turns = rotation_matrices(random.normal(0.0, 0.5, (count, ROTATIONS, 3)))
    vectors[:, part("rotations")] = six_numbers(turns)
    vectors[:, part("head_scale")] = 1.0
    vectors[:, part("camera")] = (0.1, -0.2, 1.5)
    return vectors


def six_numbers(turns: Array) -> Array:
    """(B, 312) of rotations (B, 52, 3, 3)."""
    return np.concatenate([turns[..., 0], turns[..., 1]], axis=-1).reshape(len(turns), -1)


@pytest.fixture(scope="module")
def bodies(pear_assets: Path) -> tuple[PearBody, PearBody]:
    """EHM-s, and plain SMPL-X with the outputs of PEAR's release."""
    smplx, flame = load_body_files(find_model_files(pear_assets))
    return EhmBody(smplx, flame), replace(smplx, head_at_rest=True)


def test_crops_are_eight_different_read_only_pictures() -> None:
    crops = bundled_crops()
    assert crops.shape == (8, 256, 256, 3)
    assert crops.dtype == np.uint8
    with pytest.raises(ValueError, match="read-only"):
        crops[0] = 0
    seen = crops[:, :, 32:-32].reshape(8, -1)  # by the network
    assert (seen.std(axis=1) > 5.0).all()
    assert len(np.unique(seen, axis=0)) == 8
    assert seen.mean(axis=1).min() < 30.0, "none of them is dark"


def test_a_runtime_sees_the_crops_as_they_are() -> None:
    runtime = Seeing()
    assert infer_bundled(runtime).shape == (8, VECTOR_SIZE)  # type: ignore[arg-type]
    np.testing.assert_array_equal(runtime.crops, bundled_crops())


def test_the_same_numbers_are_not_apart(bodies: tuple[PearBody, PearBody]) -> None:
    for body in bodies:
        verdict = judge(people(), people(), body)
        assert verdict == Verdict(0.0, 0.0, 0.0, 0.0, 0.0)
        assert verdict.passed


@pytest.mark.parametrize("degrees", [1e-4, 0.3, 40.0, 179.5])
def test_the_angle_of_one_turned_joint_is_found(degrees: float) -> None:
    vectors = people()
    turns = rotation_matrices(rng("people", 1).normal(0.0, 0.5, (3, ROTATIONS, 3)))
    reference = vectors.copy()
    reference[:, part("rotations")] = six_numbers(turns)
    turns[1, 20] = turns[1, 20] @ rotation_matrices(np.array([0.0, 0.0, math.radians(degrees)]))
    vectors = reference.copy()
    vectors[:, part("rotations")] = six_numbers(turns)
    verdict = judge(vectors, reference, None)
    assert verdict.max_rotation_deg == pytest.approx(degrees, rel=1e-3, abs=2e-5)
    assert verdict.mean_rotation_deg == pytest.approx(degrees / (3 * 55), rel=1e-3, abs=2e-5)


@pytest.mark.parametrize("name", ["jaw", "eyes"])
def test_jaw_and_eyes_are_compared(name: str) -> None:
    vectors = people()
    vectors[:, part("jaw")] = vectors[:, part("eyes")] = 0.0
    turned = vectors.copy()
    turned[2, part(name).start] = math.radians(7.0)
    assert judge(turned, vectors, None).max_rotation_deg == pytest.approx(7.0, rel=1e-4)


def test_vertices_are_compared_about_the_pelvis(bodies: tuple[PearBody, PearBody]) -> None:
    """Turning the whole body moves its vertices as far as they are away from its pelvis."""
    reference = people(1)
    reference[:, part("rotations")] = np.tile([1, 0, 0, 0, 1, 0], ROTATIONS)
    turned = reference.copy()
    turned[:, 0:6] = [0, 1, 0, -1, 0, 0]  # 90 degrees about z
    for body in bodies:
        verdict = judge(turned, reference, body)
        assert verdict.max_rotation_deg == pytest.approx(90.0)
        across = np.ptp(body.smplx.v_template if isinstance(body, EhmBody) else body.v_template, 0)
        assert 0.3 * across.max() < verdict.max_vertex_mm / 1000 < 3.0 * across.max()
        assert verdict.mean_vertex_mm < verdict.max_vertex_mm


def test_it_is_the_pelvis_that_vertices_are_compared_about(
    bodies: tuple[PearBody, PearBody],
) -> None:
    """Shape moves the pelvis, too."""
    smplx = bodies[1]
    assert not isinstance(smplx, EhmBody)
    reference = people(1)
    reference[:, part("rotations")] = np.tile([1, 0, 0, 0, 1, 0], ROTATIONS)
    changed = reference.copy()
    changed[:, part("betas")] += 3.0
    pose, nowhere = np.zeros((1, 55, 3), np.float32), np.zeros((1, 3), np.float32)
    centred = []
    for vectors in (reference, changed):
        person = (pose, vectors[:, part("betas")], vectors[:, part("expression")], nowhere)
        centred.append(smplx.vertices(*person) - smplx.joints(*person)[:, :1])
    apart = 1000.0 * np.linalg.norm(centred[1] - centred[0], axis=2)
    verdict = judge(changed, reference, smplx)
    assert verdict.mean_vertex_mm == pytest.approx(apart.mean(), rel=1e-4)
    assert verdict.max_vertex_mm == pytest.approx(apart.max(), rel=1e-4)


@pytest.mark.parametrize(
    "name", ["betas", "expression", "head_scale", "flame_shape", "flame_expression", "eyelids"]
)
def test_shape_and_head_show_in_millimetres_alone(
    name: str, bodies: tuple[PearBody, PearBody]
) -> None:
    changed = people()
    changed[:, part(name)] += 0.2
    verdict = judge(changed, people(), bodies[0])
    assert verdict.max_rotation_deg == verdict.max_place_mm == 0.0
    assert verdict.max_vertex_mm > 0.01


@pytest.mark.parametrize("name", ["hand_scale", "flame_pose"])
def test_what_no_body_makes_use_of_does_not_count(
    name: str, bodies: tuple[PearBody, PearBody]
) -> None:
    changed = people()
    changed[:, part(name)] += 5.0
    assert judge(changed, people(), bodies[0]) == Verdict(0.0, 0.0, 0.0, 0.0, 0.0)


def test_places_are_compared_three_metres_away() -> None:
    nearer, beside = people(), people()
    nearer[1, part("camera")] *= (1.0, 1.0, 1.01)
    beside[0, part("camera")] += (0.03, 0.04, 0.0)
    assert judge(nearer, people(), None).max_place_mm == pytest.approx(30.0, rel=1e-3)
    assert judge(beside, people(), None).max_place_mm == pytest.approx(50.0, rel=1e-3)


@given(
    st.sampled_from([math.nan, math.inf, -math.inf]),
    st.integers(0, 2),
    st.integers(0, VECTOR_SIZE - 1),
)
def test_numbers_that_are_not_finite_never_pass(value: float, person: int, place: int) -> None:
    vectors = people()
    vectors[person, place] = value
    verdict = judge(vectors, people(), None)
    assert not verdict.passed
    assert "NaN or infinity" in str(verdict)
    assert "NaN or infinity" in verdict.fault


@pytest.mark.parametrize("value", [1e30, -3e38])
def test_numbers_too_large_for_a_body_never_pass(
    value: float, bodies: tuple[PearBody, PearBody]
) -> None:
    vectors = people()
    vectors[1, part("betas")] = value
    assert not judge(vectors, people(), bodies[0]).passed


def test_a_camera_without_scale_can_be_compared() -> None:
    reference = people()
    reference[0, part("camera")] = 0.0
    assert judge(reference, reference, None).passed
    assert not judge(people(), reference, None).passed


def test_rubbish_does_not_pass() -> None:
    assert not judge(np.zeros_like(people()), people(), None).passed
    assert not judge(people()[::-1], people(), None).passed


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 935\).*shape \(3, 935\)"):
        judge(people(2), people(3), None)
    with pytest.raises(ValueError, match="in fp32"):
        judge(people(), np.full_like(people(), math.nan), None)


@pytest.mark.parametrize(
    ("field", "bound", "said"),
    [
        ("mean_rotation_deg", MAX_MEAN_ROTATION_DEG, "degrees on average"),
        ("max_rotation_deg", MAX_ROTATION_DEG, "degrees at one joint"),
        ("mean_vertex_mm", MAX_MEAN_VERTEX_MM, "mm on average"),
        ("max_vertex_mm", MAX_VERTEX_MM, "mm at one vertex"),
        ("max_place_mm", MAX_PLACE_MM, "mm in a person's position"),
    ],
)
def test_every_bound_counts(field: str, bound: float, said: str) -> None:
    assert replace(GOOD, **{field: bound}).passed
    beyond = replace(GOOD, **{field: 1.01 * bound})
    assert not beyond.passed
    assert beyond.fault == f"{1.01 * bound:.2g} {said} (allowed: {bound:g})"


def test_a_verdict_is_a_sentence() -> None:
    assert str(GOOD) == (
        "0.04 degrees and 0.2 mm off fp32 on average (at most 0.3 degrees and 1.1 mm), "
        "positions at 3 m at most 2 mm"
    )
    assert str(Verdict(0.0, 123.4, 1e-5, 99.0, 1234.5)) == (
        "under 0.01 degrees and under 0.01 mm off fp32 on average (at most 123 degrees and 99 mm), "
        "positions at 3 m at most 1234 mm"
    )
    without_body = replace(GOOD, mean_vertex_mm=math.nan, max_vertex_mm=math.nan)
    assert without_body.passed
    assert str(without_body).startswith("0.04 degrees off fp32 on average (at most 0.3 degrees), ")


@given(st.builds(Verdict, *[st.floats(0, 1e6) | st.just(math.nan)] * 5))
def test_a_verdict_survives_json(verdict: Verdict) -> None:
    text = json.dumps(verdict.as_json(), allow_nan=False)
    assert repr(Verdict.from_json(json.loads(text))) == repr(verdict)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {**GOOD.as_json(), "more": 1.0},
        {**GOOD.as_json(), "max_place_mm": "2"},
        {**GOOD.as_json(), "max_place_mm": True},
    ],
)
def test_another_json_is_no_verdict(content: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a verdict has"):
        Verdict.from_json(content)
