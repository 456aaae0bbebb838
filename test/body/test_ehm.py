# SPDX-License-Identifier: Apache-2.0
"""EHM-s against SMPL-X and FLAME; test_parity.py compares its outputs as a whole."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pear_ros.body import BodyModel
from pear_ros.body.ehm import EhmBody
from pear_ros.body.ehm_parameters import EhmParameters
from pear_ros.body.flame import FlameModel
from pear_ros.body.kinematics import float32_array
from pear_ros.pear.files import find_model_files, load_body_files
from testing.ehm_people import random_people

PEOPLE = 3
Models = tuple[BodyModel, FlameModel]


@pytest.fixture(scope="module")
def models(pear_assets: Path) -> Models:
    return load_body_files(find_model_files(pear_assets))


@pytest.fixture(scope="module")
def body(models: Models) -> EhmBody:
    return EhmBody(*models)


def at_rest(people: EhmParameters) -> EhmParameters:
    return dataclasses.replace(
        people, pose=np.zeros_like(people.pose), transl=np.zeros_like(people.transl)
    )


def test_joints_and_vertices_equal_the_smplx_package(models: Models, body: EhmBody) -> None:
    """Its skinning, given our body with the swapped head as the template."""
    torch = pytest.importorskip("torch", reason="the smplx package needs torch")
    lbs = pytest.importorskip("smplx.lbs", reason="the independent reference").lbs
    smplx, _ = models
    people = random_people()
    template = body.vertices(at_rest(people))
    assert smplx.posedirs is not None
    posedirs = smplx.posedirs.reshape(-1, smplx.posedirs.shape[2]).T
    given = [
        torch.zeros(PEOPLE, 1),
        torch.from_numpy(people.pose.reshape(PEOPLE, -1)),
        torch.from_numpy(template),
        torch.zeros(body.vertex_count, 3, 1),
        torch.from_numpy(np.ascontiguousarray(posedirs)),
        torch.from_numpy(smplx.joint_regressor.toarray()),
        torch.from_numpy(smplx.parents.astype(np.int64)),
        torch.from_numpy(smplx.weights.toarray()),
    ]
    vertices, joints = (values.numpy() + people.transl[:, None] for values in lbs(*given))
    np.testing.assert_allclose(body.joints(people), joints, atol=1e-5)
    np.testing.assert_allclose(body.vertices(people), vertices, atol=1e-5)


def test_ehm_below_the_neck_is_smplx(models: Models, body: EhmBody) -> None:
    smplx, flame = models
    people = at_rest(random_people())
    plain = smplx.vertices(people.pose, people.betas, people.expression, people.transl)
    kept = np.setdiff1d(np.arange(body.vertex_count), flame.smplx_vertices[flame.swapped])
    difference = np.abs(body.vertices(people) - plain)
    assert difference[:, kept].max() < 1e-5
    assert np.setdiff1d(np.arange(body.vertex_count), kept).size == 4708
    assert difference.max() > 1e-2, "the head is FLAME's"


def test_flame_parameters_move_the_head_alone(models: Models, body: EhmBody) -> None:
    _, flame = models
    people = at_rest(random_people())
    before = body.vertices(people)
    head = flame.smplx_vertices[flame.swapped]
    rest = np.setdiff1d(np.arange(body.vertex_count), head)
    for name in ("jaw", "eyes", "eyelids", "flame_shape", "flame_expression", "head_scale"):
        other = dataclasses.replace(people, **{name: getattr(people, name) + np.float32(0.3)})
        moved = np.abs(body.vertices(other) - before).max(axis=(0, 2))
        assert moved[head].max() > 1e-3, name
        assert moved[rest].max() < 1e-6, name


def test_ehm_takes_matrices_and_axis_angle_alike(body: EhmBody) -> None:
    people = random_people()
    matrices = Rotation.from_rotvec(people.pose.reshape(-1, 3)).as_matrix()
    same = dataclasses.replace(people, pose=float32_array(matrices.reshape(PEOPLE, 55, 3, 3)))
    np.testing.assert_allclose(body.joints(same), body.joints(people), atol=1e-5)
    np.testing.assert_allclose(body.vertices(same), body.vertices(people), atol=1e-5)


def test_ehm_batch_equals_single_people(body: EhmBody) -> None:
    people = random_people(6)
    together = body.vertices(people), body.joints(people)
    for n in range(6):
        one = EhmParameters(
            **{f.name: getattr(people, f.name)[n : n + 1] for f in dataclasses.fields(people)}
        )
        np.testing.assert_allclose(body.vertices(one)[0], together[0][n], atol=1e-5)
        np.testing.assert_allclose(body.joints(one)[0], together[1][n], atol=1e-6)


def test_joints_without_vertices_are_those_of_the_vertices(models: Models, body: EhmBody) -> None:
    smplx, _ = models
    people = at_rest(random_people())
    expected = smplx.joint_regressor @ body.vertices(people).transpose(1, 0, 2).reshape(-1, 9)
    expected = expected.reshape(55, PEOPLE, 3).swapaxes(0, 1)
    np.testing.assert_allclose(body.rest_joints(people), expected, atol=2e-6)


def test_compiled_kinematics_equal_numpy(body: EhmBody, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba", reason="the compiled form")
    people = random_people()
    assert body._tree._compiled_posed is not None
    compiled = body.joints(people)
    monkeypatch.setattr(body._tree, "_compiled_posed", None)
    np.testing.assert_allclose(compiled, body.joints(people), atol=2e-6)
