# SPDX-License-Identifier: Apache-2.0
"""PEAR's network in plain PyTorch: image -> vision transformer -> decoder -> parameters."""

# mypy: disable-error-code="no-any-return"
# (calls of modules have no type of their own)

from __future__ import annotations

from torch import Tensor, nn

from pear_ros.pear.backbone import Backbone
from pear_ros.pear.decoder import DECODER_LAYERS, DECODER_WIDTH, Head
from pear_ros.pear.origin import RELEASE


class PearNetwork(nn.Module):
    """PEAR's network: images of people -> their parameters."""

    fingerprint = ""
    """Hexadecimal hash of the weights, independent of the format of their file. It covers the first
    1024 numbers of each tensor; a change to later numbers alone does not show."""

    model = RELEASE
    """Model of the weights, the first part of `model_id`; not RELEASE where they are others'."""
    body = ""
    """Name of the body that the weights were trained for; empty for those of PEAR's release."""

    def __init__(
        self,
        depth: int,
        width: int,
        heads: int,
        decoder_width: int = DECODER_WIDTH,
        decoder_layers: int = DECODER_LAYERS,
    ) -> None:
        """`depth`: blocks of the backbone; `width`: its channels; `heads`: its attention heads.

        `decoder_width` and `decoder_layers`: channels and layers of the decoder.
        """
        super().__init__()
        self.backbone = Backbone(depth, width, heads)
        self.head = Head(width, decoder_width, decoder_layers)

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, VECTOR_SIZE) parameters, see pear_ros.pear.prediction.

        `images` (B, 3, 256, 256): red, green and blue from 0 to 1.
        """
        return self.head(self.backbone(images))
