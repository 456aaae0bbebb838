# SPDX-License-Identifier: Apache-2.0
"""Our skinning against the independent `smplx` package, and properties of any body."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation

from pear_ros.body import BodyModel, load_open_body, load_smplx
from pear_ros.body.kinematics import rotation_matrices, rotation_vectors
from testing.smplx_file import smplx_forward, write_smplx_file

Array = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def smplx_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_smplx_file(load_open_body(), tmp_path_factory.mktemp("smplx"))


def random_parameters(body: BodyModel, people: int, seed: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    draw = lambda scale, *shape: rng.normal(0.0, scale, (people, *shape)).astype(np.float32)  # noqa: E731
    return {
        "pose": draw(0.5, len(body.parents), 3),
        "betas": draw(1.5, body.num_betas),
        "expression": draw(0.5, body.num_expression),
        "transl": draw(2.0, 3),
    }


def reference(path: Path, body: BodyModel, values: dict[str, Array]) -> tuple[Array, Array]:
    """Vertices and the 55 joints by the `smplx` package."""
    for package in ("torch", "smplx"):
        pytest.importorskip(package, reason="the independent reference is the smplx package")
    out = smplx_forward(path, body, values)()
    return out.vertices.numpy(), out.joints[:, : len(body.parents)].numpy()


@pytest.mark.parametrize("people", [1, 3])
def test_smplx_layout_equals_the_smplx_package(smplx_path: Path, people: int) -> None:
    body = load_smplx(smplx_path, num_betas=10, num_expression=52)
    values = random_parameters(body, people, seed=people)
    vertices, joints = reference(smplx_path, body, values)
    np.testing.assert_allclose(body.vertices(**values), vertices, atol=1e-5)
    np.testing.assert_allclose(body.joints(**values), joints, atol=1e-5)


def test_open_body_equals_the_smplx_package(tmp_path: Path) -> None:
    body = load_open_body()
    path = write_smplx_file(body, tmp_path, posedirs_scale=0.0)
    for seed in range(5):
        values = random_parameters(body, 2, seed)
        vertices, joints = reference(path, body, values)
        np.testing.assert_allclose(body.vertices(**values), vertices, atol=1e-5)
        np.testing.assert_allclose(body.joints(**values), joints, atol=1e-5)


def test_rest_pose_is_the_template() -> None:
    body = load_open_body()
    zeros = {
        "pose": np.zeros((1, 55, 3), np.float32),
        "betas": np.zeros((1, body.num_betas), np.float32),
        "expression": np.zeros((1, body.num_expression), np.float32),
        "transl": np.array([[1.0, 2.0, 3.0]], np.float32),
    }
    np.testing.assert_allclose(
        body.vertices(**zeros)[0], body.v_template + zeros["transl"], atol=1e-5
    )


def test_vertices_of_no_people_are_empty() -> None:
    body = load_open_body()
    empty = {key: value[:0] for key, value in random_parameters(body, 1, 0).items()}
    assert body.vertices(**empty).shape == (0, body.vertex_count, 3)
    assert body.joints(**empty).shape == (0, 55, 3)


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.float32, (4, 3), elements=st.floats(-7, 7, width=32)))
def test_rotation_matrices_agree_with_scipy(vectors: Array) -> None:
    expected = Rotation.from_rotvec(vectors.astype(np.float64)).as_matrix()
    np.testing.assert_allclose(rotation_matrices(vectors), expected, atol=2e-6)


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(np.float32, (2, 3), elements=st.floats(-1.5, 1.5, width=32)))
def test_rotation_vectors_invert_rotation_matrices(vectors: Array) -> None:
    np.testing.assert_allclose(rotation_vectors(rotation_matrices(vectors)), vectors, atol=2e-6)


@settings(max_examples=100, deadline=None)
@given(
    axis=hnp.arrays(np.float64, 3, elements=st.floats(-1, 1)).filter(
        lambda v: np.abs(v).max() > 0.1
    ),
    angle=st.floats(0.0, np.pi) | st.sampled_from([0.0, 1e-30, 1e-6, np.pi - 1e-6, np.pi]),
)
def test_rotation_vectors_are_exact_at_all_angles(axis: Array, angle: float) -> None:
    """A person who faces the camera is turned by nearly pi."""
    vector = angle * axis / np.linalg.norm(axis)
    matrix = Rotation.from_rotvec(vector).as_matrix().astype(np.float32)
    found = rotation_vectors(matrix[None, None])[0, 0]
    assert np.linalg.norm(found) <= np.pi + 1e-6
    # At pi the axis may point either way.
    apart = (Rotation.from_rotvec(found) * Rotation.from_rotvec(vector).inv()).magnitude()
    assert apart < 2e-6


def test_load_smplx_names_files_that_are_not_smplx(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    np.savez(path, v_template=np.zeros((3, 3)))
    with pytest.raises(ValueError, match=r"other\.npz is not an SMPL-X file: it lacks f,"):
        load_smplx(path)
