# SPDX-License-Identifier: Apache-2.0
"""The auxiliary layer: the right token per joint, none where the joint is not seen."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from pear_ros.training.joint_tokens import SupervisedNetwork, token_loss  # noqa: E402
from pear_ros.training.network import NetworkSize, TrainedNetwork  # noqa: E402

SMALL = NetworkSize(depth=1, width=64, heads=1, decoder_width=32, decoder_layers=1)


def test_the_token_that_shows_a_joint_is_the_one_to_name() -> None:
    """The backbone sees columns 32 to 223 of the crop, in 16 rows of 12 tokens."""
    keypoints = torch.full((1, 55, 2), torch.nan)
    keypoints[0, 0] = torch.tensor([32.0 + 3 * 16 + 5, 2 * 16 + 15.9])
    right, wrong = torch.zeros(1, 55, 192), torch.zeros(1, 55, 192)
    right[0, 0, 2 * 12 + 3] = wrong[0, 0, 2 * 12 + 4] = 50.0
    weights = torch.ones(1, 55)
    assert token_loss(right, keypoints, weights) < 1e-6
    assert token_loss(wrong, keypoints, weights) == pytest.approx(50.0, rel=1e-3)


def test_joints_that_are_not_seen_take_no_part() -> None:
    keypoints = torch.full((1, 55, 2), 100.0)
    logits = torch.randn(1, 55, 192, generator=torch.Generator().manual_seed(0))
    expected = token_loss(logits[:, :1].expand(-1, 55, -1), keypoints, torch.ones(1, 55))
    weights = torch.ones(1, 55)
    for joint, place in enumerate([(31.0, 90.0), (225.0, 90.0), (90.0, -1.0), (90.0, 257.0)], 1):
        keypoints[0, joint] = torch.tensor(place)
    keypoints[0, 5:30] = torch.nan
    weights[0, 30:] = 0.0
    assert token_loss(logits, keypoints, weights) == pytest.approx(float(expected), rel=1e-5)
    assert token_loss(logits, keypoints * torch.nan, weights) == 0.0


def test_the_network_itself_is_unchanged() -> None:
    network = TrainedNetwork(SMALL, 10, 10)
    names = [*network.state_dict()]
    images = torch.rand(2, 3, 256, 256)
    vectors, logits = SupervisedNetwork(network)(images)
    assert torch.equal(vectors, network(images)) and logits.shape == (2, 55, 192)
    assert [*network.state_dict()] == names
