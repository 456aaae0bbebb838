# SPDX-License-Identifier: Apache-2.0
"""Auxiliary supervision of the backbone: which of its tokens shows each joint.

Regression of a whole person gives a backbone with random weights little to begin with. A linear
layer, used in training alone, therefore classifies for each joint the token that shows it, as
SimCC (Li et al., ECCV 2022) classifies coordinates.
"""

# mypy: disable-error-code="no-any-return"
# (calls of modules have no type of their own)

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pear_ros.core.people import NUM_JOINTS
from pear_ros.pear.backbone import MARGIN, PATCH
from pear_ros.pear.crop import INPUT_SIZE
from pear_ros.training.network import TrainedNetwork

_ROWS = INPUT_SIZE // PATCH
_COLUMNS = (INPUT_SIZE - 2 * MARGIN) // PATCH
"""Tokens of the part of the crop that the backbone sees."""


class SupervisedNetwork(nn.Module):
    """A network with the auxiliary layer."""

    def __init__(self, network: TrainedNetwork) -> None:
        """Add a layer to `network`, whose own weights stay where they are."""
        super().__init__()
        self.network = network
        self.joint_tokens = nn.Linear(network.size.width, NUM_JOINTS)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the network's vectors (B, VECTOR_SIZE) and logits (B, 55, N) of the tokens.

        `images` (B, 3, 256, 256): red, green and blue from 0 to 1.
        """
        tokens = self.network.backbone(images)
        return self.network.head(tokens), self.joint_tokens(tokens).transpose(1, 2)


def token_loss(logits: Tensor, keypoints: Tensor, weights: Tensor) -> Tensor:
    """Return the mean cross-entropy of the joints' tokens over those that the backbone sees.

    `logits` (B, 55, N); `keypoints` (B, 55, 2): pixels of the crop, NaN: unknown; `weights`
    (B, 55) from 0 to 1. 0 where no joint is seen.
    """
    column, row = ((keypoints - keypoints.new_tensor([MARGIN, 0.0])) / PATCH).floor().unbind(-1)
    seen = (column >= 0) & (column < _COLUMNS) & (row >= 0) & (row < _ROWS)  # NaN is not.
    token = torch.where(seen, row * _COLUMNS + column, 0.0).long()
    loss = F.cross_entropy(logits.flatten(0, 1).float(), token.flatten(), reduction="none")
    share = (weights * seen).flatten()
    return (share * loss).sum() / share.sum().clamp_min(1e-9)
