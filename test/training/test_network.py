# SPDX-License-Identifier: Apache-2.0
"""The trained network: PEAR's vector, and weights that PEAR's loader takes."""

from __future__ import annotations

import pytest

from pear_ros.body import load_open_body
from pear_ros.pear.prediction import LAYOUT, VECTOR_SIZE, Prediction

torch = pytest.importorskip("torch", reason="training needs torch")

from pear_ros.pear.body import body_parameters  # noqa: E402
from pear_ros.pear.checkpoint import build_network  # noqa: E402
from pear_ros.training.network import NetworkSize, TrainedNetwork, partial, release  # noqa: E402

SIZE = NetworkSize(depth=1, width=64, heads=1, decoder_width=64, decoder_layers=1)
BODY = load_open_body()


@pytest.fixture
def network() -> TrainedNetwork:
    return with_noise(TrainedNetwork(SIZE, BODY.num_betas, BODY.num_expression))


@pytest.fixture
def ehm_network() -> TrainedNetwork:
    return with_noise(TrainedNetwork(SIZE, 200, 50, flame=True))


def with_noise(network: TrainedNetwork) -> TrainedNetwork:
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.05 * torch.randn_like(weight)
    return network


def parts(vectors: torch.Tensor) -> dict[str, torch.Tensor]:
    return dict(zip(LAYOUT, vectors.split([*LAYOUT.values()], dim=1), strict=True))


def whole(network: TrainedNetwork) -> dict[str, torch.Tensor]:
    parts = release(network, network.state_dict())
    return {f"{part}.{key}": value for part in parts for key, value in parts[part].items()}


def test_a_new_network_sees_somebody_upright_who_faces_the_camera() -> None:
    network = TrainedNetwork(SIZE, BODY.num_betas, BODY.num_expression)
    seen = Prediction.from_vectors(network(torch.rand(2, 3, 256, 256)))
    rotations = body_parameters(BODY, seen).pose
    facing = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    assert torch.allclose(rotations[:, 0], facing.expand(2, 3, 3), atol=0.3)
    assert torch.allclose(rotations[:, 1:], torch.eye(3).expand(2, 54, 3, 3), atol=0.3)
    assert torch.allclose(seen.camera[:, 2], torch.ones(2), atol=0.3)


def test_what_the_body_lacks_is_zero_in_the_vector_and_has_no_weights(
    network: TrainedNetwork,
) -> None:
    vectors = network(torch.rand(2, 3, 256, 256))
    assert vectors.shape == (2, VECTOR_SIZE)
    found = parts(vectors)
    for name in ("hand_scale", "head_scale", "flame_pose", "eyelids"):
        assert not found[name].any()
    assert not found["flame_shape"].any() and not found["flame_expression"].any()
    assert found["betas"][:, : BODY.num_betas].all()
    assert not found["betas"][:, BODY.num_betas :].any()
    assert found["expression"].all() and found["eyes"].all() and found["jaw"].all()
    assert not any("flame_shape" in name for name, _ in network.named_parameters())


def test_pears_loader_builds_the_same_function_of_the_released_weights(
    network: TrainedNetwork,
) -> None:
    images = torch.rand(2, 3, 256, 256)
    built = build_network(whole(network), heads=SIZE.heads)
    torch.testing.assert_close(built(images), network(images), atol=1e-5, rtol=1e-5)


def test_released_weights_come_back_exactly(network: TrainedNetwork) -> None:
    own = network.state_dict()
    back = partial(network, whole(network))
    assert back.keys() == own.keys()
    assert all(torch.equal(back[key], own[key]) for key in own)


def test_the_network_of_ehm_s_predicts_all_of_the_vector_and_is_released_whole(
    ehm_network: TrainedNetwork,
) -> None:
    images = torch.rand(2, 3, 256, 256)
    vectors = ehm_network(images)
    assert all(part.all() for part in parts(vectors).values())
    built = build_network(whole(ehm_network), heads=SIZE.heads)
    torch.testing.assert_close(built(images), vectors, atol=1e-5, rtol=1e-5)
    own, back = ehm_network.state_dict(), partial(ehm_network, whole(ehm_network))
    assert back.keys() == own.keys() and all(torch.equal(back[key], own[key]) for key in own)
    new = parts(TrainedNetwork(SIZE, 200, 50, flame=True)(images))
    assert torch.allclose(new["head_scale"], torch.ones(2, 3), atol=0.3)


def test_in_mixed_precision_the_vector_of_ehm_s_keeps_its_camera(
    ehm_network: TrainedNetwork,
) -> None:
    images = torch.rand(1, 3, 256, 256)
    with torch.autocast("cpu", torch.bfloat16):
        vectors = ehm_network(images)
    assert vectors.dtype == torch.float32
    assert not torch.equal(vectors, vectors.bfloat16().float()), "it is not rounded"
    assert torch.allclose(vectors, ehm_network(images), atol=0.1)


def test_jaw_eyes_and_expression_of_the_open_body_come_from_the_vector() -> None:
    vectors = torch.zeros(1, VECTOR_SIZE)
    vectors[0, :312] = torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(52)
    seen = Prediction.from_vectors(vectors)
    seen.jaw[0, 0], seen.eyes[0, 1], seen.eyes[0, 4] = 0.3, 0.2, -0.1
    seen.expression[0, 49] = 0.7
    people = body_parameters(BODY, seen)
    angles = [torch.acos((turn.trace() - 1) / 2) for turn in people.pose[0, 22:25]]
    assert torch.stack(angles).tolist() == pytest.approx([0.3, 0.2, 0.1], abs=1e-3)
    assert people.pose[0, 23, 0, 2] > 0 > people.pose[0, 24, 0, 2]  # y turns z towards x.
    assert people.expression.shape == (1, 52)
    assert people.expression[0, 49:].tolist() == pytest.approx([0.7, 0.0, 0.0])
