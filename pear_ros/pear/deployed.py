# SPDX-License-Identifier: Apache-2.0
"""PEAR's network as it is run: bytes in, the backbone in any precision, constants folded.

The same function as pear_ros.pear.network.PearNetwork, to rounding; one module for the export to
ONNX and for torch. Patches -> vision transformer (ViT, Dosovitskiy et al., ICLR 2021) ->
transformer decoder with one query (pear_ros.pear.deployed_decoder).

Shapes in comments: B people, N = 192 tokens, C channels of the backbone, H heads of D channels,
P = VECTOR_SIZE parameters.

Folded, that is computed once here instead of for each image. Each is exact in real numbers:

- pixels from 0 to 255 instead of 0 to 1: (p / 255 - m) / s = (p - 255 m) / (255 s)
- blue, green, red instead of red, green, blue: mean, deviation and kernel are reversed
- the patches' convolution: its kernel is as large as its stride, so it is a matrix product
- the position embedding: the constant sum of a patch's own and the (absent) class token's
- D^-1/2 of the attention: in weight and bias of the query
"""

# mypy: disable-error-code="no-any-return"
# (calls of modules have no type of their own)

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pear_ros.core.configuration import FP16_FP32_ATTENTION
from pear_ros.pear.backbone import MARGIN, PATCH, PATCH_PADDING, TOKENS, Backbone, Block
from pear_ros.pear.crop import INPUT_SIZE
from pear_ros.pear.deployed_decoder import DeployedDecoder
from pear_ros.pear.deployed_layers import (
    Attention,
    Mlp,
    attention,
    attention_in_fp32,
    frozen,
    frozen_linear,
    frozen_norm,
    fused_attention,
    in_own_precision,
)
from pear_ros.pear.network import PearNetwork

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""Precisions in which the backbone can be computed, with torch's types."""

_ROWS, _COLUMNS = INPUT_SIZE // PATCH, TOKENS // (INPUT_SIZE // PATCH)
"""Rows and columns of patches."""


class DeployedNetwork(nn.Module):
    """PEAR's network: crops of people -> their parameters.

    The backbone, and the keys and values that the decoder makes of its tokens, are computed in a
    precision of choice; in fp16, the decoder's other layers as well, whose weights are most of what
    it reads from memory. All else is in fp32: the pixels' normalisation, the residual streams and
    their norms, the read-outs. With a half-precision residual stream the numbers' error (RMS
    against fp32, synthetic weights) was 1.3 times as large at 12 blocks and 1.5 to 1.7 times at 32,
    for fp16 as for bf16. Weights that have their precision already are shared with the given
    network, not copied, unless something is folded into them.
    """

    def __init__(self, network: PearNetwork, precision: str, explicit_attention: bool) -> None:
        """`network` in fp32; `precision` of the backbone: of PRECISIONS, or FP16_FP32_ATTENTION.

        `explicit_attention`: matrix products and a softmax, in the order that TensorRT fuses,
        instead of torch's fused attention.
        """
        super().__init__()
        self.fingerprint = network.fingerprint
        self.precision = precision
        attend = attention if explicit_attention else fused_attention
        if precision == FP16_FP32_ATTENTION:
            # 2 % of the operations. Fused attention in fp16 is wrong in some versions of TensorRT.
            precision, attend = "fp16", attention_in_fp32
        dtype = PRECISIONS[precision]
        self.pixels = _Patches(network.backbone)
        self.body = _Backbone(network.backbone, dtype, attend)
        # In bf16 it would use up half of the error that a runtime may have; it has attention, too.
        narrow = self.precision == "fp16"
        self.decoder = DeployedDecoder(
            network.head, dtype, torch.float16 if narrow else torch.float32
        )
        self.requires_grad_(False).eval()

    def forward(self, crops: Tensor) -> Tensor:
        """Return (B, VECTOR_SIZE) float32 parameters, see pear_ros.pear.prediction.

        `crops` (B, 256, 256, 3) uint8: blue, green and red.
        """
        # TensorRT can do nothing to bytes but convert them.
        return self.from_pixels(crops.float())

    def from_pictures(self, images: Tensor) -> Tensor:
        """Return (B, VECTOR_SIZE) float32 parameters, see pear_ros.pear.prediction.

        `images` (B, 3, 256, 256) float32: red, green and blue from 0 to 1.
        """
        return self.from_pixels(255.0 * images.permute(0, 2, 3, 1).flip(-1))

    def from_pixels(self, pixels: Tensor) -> Tensor:
        """Return (B, VECTOR_SIZE) float32 parameters, see pear_ros.pear.prediction.

        `pixels` (B, 256, 256, 3) float32: blue, green and red from 0 to 255.
        """
        patches = self.pixels(pixels)  # (B, 256, 256, 3) -> (B, N, 768)
        tokens = self.body(patches)  # (B, N, C)
        return self.decoder(tokens)  # (B, P)


class _Patches(nn.Module):
    """Pixels from 0 to 255 -> normalised patches."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        # Folded: 255 times ImageNet's mean and deviation, in the order blue, green, red.
        for name, rgb in backbone.patch_embed.named_buffers():
            self.register_buffer(name, (255.0 * rgb.flatten().flip(0)).float())

    def forward(self, pixels: Tensor) -> Tensor:
        """Return (B, N, 16 * 16 * 3) patches of pixels (B, 256, 256, 3).

        The grid begins PATCH_PADDING pixels beyond the picture's top left corner, in zeros, and
        leaves out as many at its bottom right.
        """
        inside = slice(-PATCH_PADDING)
        seen = pixels[:, inside, MARGIN:-MARGIN][:, :, inside]
        x = F.pad((seen - self.mean) / self.std, (0, 0, PATCH_PADDING, 0, PATCH_PADDING, 0))
        # (B, rows, 16, columns, 16, 3) -> (B, rows, columns, 16, 16, 3) -> (B, N, 768)
        x = x.reshape(-1, _ROWS, PATCH, _COLUMNS, PATCH, 3).transpose(2, 3)
        return x.reshape(-1, TOKENS, PATCH * PATCH * 3)


class _Backbone(nn.Module):
    """Vision transformer: patches -> tokens."""

    def __init__(self, backbone: Backbone, dtype: torch.dtype, attend: Attention) -> None:
        super().__init__()
        # Folded: the convolution as a matrix product, (C, 3, 16, 16) -> (C, 16 * 16 * 3) for blue,
        # green and red. Until opset 22 ONNX has no convolution in bf16.
        patches = backbone.patch_embed.proj
        weight = patches.weight.flip(1).permute(0, 2, 3, 1).flatten(1)
        self.patches = frozen_linear(weight, patches.bias, dtype)
        # Folded: each patch's position and that of the class token, which there is none of.
        position = backbone.pos_embed.double()
        self.position = frozen(position[:, 1:] + position[:, :1])  # (1, N, C)
        blocks = (block for block in backbone.blocks if isinstance(block, Block))
        self.blocks = nn.Sequential(*(_Block(block, dtype, attend) for block in blocks))
        self.last_norm = frozen_norm(backbone.last_norm)

    def forward(self, patches: Tensor) -> Tensor:
        """Return tokens (B, N, C) of patches (B, N, 768)."""
        x = in_own_precision(self.patches, patches) + self.position
        return self.last_norm(self.blocks(x))


class _Block(nn.Module):
    """Block of the backbone: x + SelfAttention(LN(x)), then x + MLP(LN(x))."""

    def __init__(self, block: Block, dtype: torch.dtype, attend: Attention) -> None:
        super().__init__()
        self.attend, self.heads = attend, block.attn.heads
        self.norm1 = frozen_norm(block.norm1)
        # Folded: D^-1/2 of the attention.
        self.qkv = frozen_linear(*_scaled_query(block.attn.qkv, block.attn.heads), dtype)
        self.proj = frozen_linear(block.attn.proj.weight, block.attn.proj.bias, dtype)
        self.norm2 = frozen_norm(block.norm2)
        self.mlp = Mlp(block.mlp.fc1, block.mlp.fc2, dtype)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = in_own_precision(self.qkv, self.norm1(x)).chunk(3, dim=-1)  # (B, N, C) each
        shape = (-1, TOKENS, self.heads, q.shape[-1] // self.heads)
        q, k, v = (part.reshape(shape).transpose(1, 2) for part in (q, k, v))  # (B, H, N, D) each
        attended = self.attend(q, k, v).transpose(1, 2).flatten(2)  # (B, N, C)
        x = x + self.proj(attended)
        return x + self.mlp(self.norm2(x))


def _scaled_query(qkv: nn.Linear, heads: int) -> tuple[Tensor, Tensor]:
    """Return weight (3 C, C) and bias (3 C,) of Q, K and V, in float64, those of Q times D^-1/2."""
    channels = qkv.in_features
    scale = torch.ones(3 * channels, dtype=torch.float64)
    scale[:channels] = (channels // heads) ** -0.5
    return qkv.weight * scale[:, None], qkv.bias * scale
