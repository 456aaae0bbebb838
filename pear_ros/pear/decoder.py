# SPDX-License-Identifier: Apache-2.0
"""PEAR's head in plain PyTorch: a transformer decoder with one query token, and linear read-outs.

The decoder is as in HMR 2.0 (Goel et al., ICCV 2023). Modules have the names that their weights
have in PEAR's checkpoint. There is no dropout: train() and eval() are the same.

Shapes in comments: B people, N = 192 tokens, C channels of the backbone, H = 8 heads of D = 64
channels, E channels of the decoder, 1024 in PEAR's release.
"""

# mypy: disable-error-code="no-any-return"
# (calls of modules have no type of their own)

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pear_ros.pear.backbone import merge_heads, split_heads
from pear_ros.pear.prediction import LAYOUT

DECODER_LAYERS = 6
"""Layers of the decoder of PEAR's release."""
DECODER_WIDTH = 1024
"""Channels of the decoder of PEAR's release; as many are hidden in its MLP."""
DECODER_HEADS, DECODER_HEAD_WIDTH = 8, 64
DECODER_INNER = DECODER_HEADS * DECODER_HEAD_WIDTH

MEAN_POSE = 6 * 22
"""Numbers of the mean pose that are added to the prediction: those of global and body rotations."""
MEAN_SCALE = 1.5
"""Mean scale of the crop's camera, which is added to the predicted one."""


class Head(nn.Module):
    """Transformer decoder over the backbone's tokens, and linear read-outs of its query."""

    init_body_pose: Tensor

    def __init__(
        self, context: int, width: int = DECODER_WIDTH, layers: int = DECODER_LAYERS
    ) -> None:
        """`context`: width of the backbone; `width` and `layers` of the decoder."""
        super().__init__()
        self.transformer = Decoder(context, width, layers)
        self.register_buffer("init_body_pose", torch.zeros(1, 318))
        self.smplx_poses_decoder = nn.Linear(width, LAYOUT["rotations"])
        self.smplx_scale_decoder = nn.Linear(width, LAYOUT["hand_scale"] + LAYOUT["head_scale"])
        self.smplx_shape_decoder = nn.Linear(width, LAYOUT["betas"])
        self.smplx_expression_decoder = nn.Linear(width, LAYOUT["expression"])
        self.flame_poses_decoder = nn.Linear(
            width, sum(LAYOUT[part] for part in ("eyes", "flame_pose", "jaw", "eyelids"))
        )
        self.flame_shape_decoder = nn.Linear(width, LAYOUT["flame_shape"])
        self.flame_expression_decoder = nn.Linear(width, LAYOUT["flame_expression"])
        self.cam_decoder = nn.Linear(width, LAYOUT["camera"])

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, VECTOR_SIZE) in the order of LAYOUT, of tokens (B, N, C)."""
        return self.read_out(self.transformer(tokens))

    def read_out(self, token: Tensor) -> Tensor:
        """Return (B, VECTOR_SIZE) in the order of LAYOUT, of the decoder's token (B, E)."""
        rotations, camera = self.smplx_poses_decoder(token), self.cam_decoder(token)
        parts = [
            # The file's mean pose is in another order than its use; PEAR adds it as it is.
            rotations[:, :MEAN_POSE] + self.init_body_pose[:, :MEAN_POSE],
            rotations[:, MEAN_POSE:],
            self.smplx_scale_decoder(token),
            self.smplx_shape_decoder(token),
            self.smplx_expression_decoder(token),
            self.flame_poses_decoder(token),
            self.flame_shape_decoder(token),
            self.flame_expression_decoder(token),
            camera[:, :2],
            camera[:, 2:] + MEAN_SCALE,
        ]
        return torch.cat(parts, dim=1)


class Decoder(nn.Module):
    """Transformer decoder with a single query token, the same for every image."""

    def __init__(self, context: int, width: int, layers: int) -> None:
        super().__init__()
        self.to_token_embedding = nn.Linear(1, width)
        self.pos_embedding = nn.Parameter(torch.zeros(1, 1, width))
        self.transformer = nn.ModuleDict(
            {"layers": nn.ModuleList(_decoder_layer(context, width) for _ in range(layers))}
        )

    def forward(self, context: Tensor) -> Tensor:
        """Return the query token (B, E) after all layers; `context` (B, N, C): tokens."""
        # The token's input is the number 0, so of its embedding the bias remains.
        query = self.to_token_embedding.bias + self.pos_embedding
        x = query.expand(len(context), 1, -1)  # (B, 1, E)
        for layer in self.transformer["layers"].children():
            self_attention, cross_attention, mlp = layer.children()
            x = x + self_attention(x)
            x = x + cross_attention(x, context)
            x = x + mlp(x)
        return x[:, 0]


def _decoder_layer(context: int, width: int) -> nn.ModuleList:
    branches = (
        DecoderSelfAttention(width),
        DecoderCrossAttention(context, width),
        DecoderMlp(width),
    )
    return nn.ModuleList(PreNorm(branch, width) for branch in branches)


class PreNorm(nn.Module):
    """A branch of the decoder on the layer-normalised token: f(LN(x), context)."""

    def __init__(self, branch: nn.Module, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-5)
        self.fn = branch

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        """Return (B, 1, E) of the token (B, 1, E)."""
        return self.fn(self.norm(x), *context)


class DecoderSelfAttention(nn.Module):
    """Self-attention over a single token: its softmax is 1, so the token's value is the result."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_qkv = nn.Linear(width, 3 * DECODER_INNER, bias=False)
        self.to_out = nn.Sequential(nn.Linear(DECODER_INNER, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 1, E) of the token (B, 1, E)."""
        v = F.linear(x, self.to_qkv.weight[2 * DECODER_INNER :])  # (B, 1, H * D)
        return self.to_out(v)


class DecoderCrossAttention(nn.Module):
    """Multi-head cross-attention of the query token to the backbone's tokens."""

    def __init__(self, context: int, width: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(width, DECODER_INNER, bias=False)
        self.to_kv = nn.Linear(context, 2 * DECODER_INNER, bias=False)
        self.to_out = nn.Sequential(nn.Linear(DECODER_INNER, width))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Return (B, 1, E) of the token x (B, 1, E) and the context (B, N, C)."""
        # q: (B, H, 1, D); k, v: (B, H, N, D)
        q, k, v = (
            split_heads(part, DECODER_HEADS)
            for part in (self.to_q(x), *self.to_kv(context).chunk(2, dim=-1))
        )
        return self.to_out(merge_heads(F.scaled_dot_product_attention(q, k, v)))


class DecoderMlp(nn.Module):
    """Multilayer perceptron of the decoder: W_2 GELU(W_1 x + b_1) + b_2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # The Identity stands where training has dropout: names of weights count positions.
        self.net = nn.Sequential(
            nn.Linear(width, width),
            nn.GELU(),
            nn.Identity(),
            nn.Linear(width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 1, E) of the token (B, 1, E)."""
        return self.net(x)
