# SPDX-License-Identifier: Apache-2.0
"""Properties of PEAR's network and its numbers that hold whatever the weights."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pear_ros.pear.prediction import VECTOR_SIZE, Prediction
from pear_ros.pear.rotation6d import matrices_from_6d
from testing.parity import recipe

torch = pytest.importorskip("torch", reason="PEAR needs torch: pip install torch")


@pytest.fixture(scope="module")
def network() -> Any:
    from pear_ros.pear.checkpoint import build_network

    state = recipe.fill_state_dict(recipe.network_layout(**recipe.CONFIG_SMALL), seed=3)
    return build_network({key: torch.from_numpy(value) for key, value in state.items()}, heads=4)


def pictures(people: int) -> Any:
    return torch.rand(people, 3, 256, 256, generator=torch.Generator().manual_seed(people))


def test_network_output_is_independent_of_the_batch(network: Any) -> None:
    images = pictures(3)
    together = network(images)
    assert together.shape == (3, VECTOR_SIZE)
    alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    assert (together[0] - together[1]).abs().max() > 1e-3


def test_network_batch_of_zero_people(network: Any) -> None:
    vectors = network(pictures(0))
    assert vectors.shape == (0, VECTOR_SIZE)
    assert Prediction.from_vectors(vectors.numpy()).body_pose.shape == (0, 21, 3, 3)


def test_training_mode_changes_nothing(network: Any) -> None:
    images = pictures(1)
    expected = network(images)
    assert torch.equal(network.train()(images), expected)
    network.eval()
    assert not expected.requires_grad


def test_outer_columns_are_not_looked_at(network: Any) -> None:
    images = pictures(1)
    framed = images.clone()
    framed[..., :32] = framed[..., -32:] = 0.0
    assert torch.equal(network(framed), network(images))
    framed[..., 32] = 0.0
    assert not torch.equal(network(framed), network(images))


def test_numpy_and_torch_read_the_same() -> None:
    vectors = np.random.default_rng(0).normal(size=(2, VECTOR_SIZE)).astype(np.float32)
    ours = dataclasses.asdict(Prediction.from_vectors(vectors))
    theirs = dataclasses.asdict(Prediction.from_vectors(torch.from_numpy(vectors)))
    numbers = 0
    for name, array in ours.items():
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, theirs[name].numpy(), atol=1e-6, err_msg=name)
        numbers += array[0].size * 6 // 9 if array.ndim == 4 else array[0].size
    assert numbers == VECTOR_SIZE


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="has 935 numbers, not 934"):
        Prediction.from_vectors(np.zeros((1, 934), np.float32))


@given(hnp.arrays(np.float64, (3, 6), elements=st.floats(-10.0, 10.0)))
def test_six_numbers_make_a_rotation(values: npt.NDArray[np.float64]) -> None:
    first, second = values[:, :3], values[:, 3:]
    area = np.linalg.norm(np.cross(first, second), axis=1)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    good = (area > 1e-3 * lengths) & (lengths > 1e-6)
    matrices = matrices_from_6d(values)
    assert np.isfinite(matrices).all()
    rotations = matrices[good]
    identity = np.broadcast_to(np.eye(3), rotations.shape)
    np.testing.assert_allclose(rotations @ rotations.swapaxes(1, 2), identity, atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(rotations), 1.0, atol=1e-9)
    # The first vector gives the first column's direction, the second lies in the plane of two.
    along = np.einsum("ni,ni->n", rotations[:, :, 0], first[good])
    np.testing.assert_allclose(along, np.linalg.norm(first[good], axis=1), rtol=1e-9)
    across = np.einsum("ni,ni->n", rotations[:, :, 2], second[good])
    np.testing.assert_allclose(across, 0.0, atol=1e-6)
