# SPDX-License-Identifier: Apache-2.0
"""PEAR's network in plain PyTorch: a vision transformer and a decoder with one query.

The backbone is a ViT (Dosovitskiy et al., ICLR 2021) as in ViTPose (Xu et al., NeurIPS 2022), the
head a transformer decoder as in HMR 2.0 (Goel et al., ICCV 2023). Modules have the names that their
weights have in PEAR's checkpoint. There is neither dropout nor drop path: train() and eval() are
the same.

Shapes in comments: B people, N = 192 tokens, C channels of the backbone, H heads of D channels,
E = 1024 channels of the decoder.
"""

# mypy: disable-error-code="no-any-return"
# (calls of modules have no type of their own)

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pear_ros.pear.prediction import LAYOUT

PATCH, PATCH_PADDING = 16, 2
MARGIN = 32
"""Columns at the left and at the right of the input that the network leaves out, pixels."""
TOKENS = 16 * 12
"""Patches of an image: 16 rows of 12."""
MLP_RATIO = 4
"""Hidden channels of the backbone's MLP over its width."""

DECODER_LAYERS = 6
DECODER_WIDTH = 1024
DECODER_HEADS, DECODER_HEAD_WIDTH = 8, 64
DECODER_INNER = DECODER_HEADS * DECODER_HEAD_WIDTH
DECODER_MLP = 1024

MEAN_POSE = 6 * 22
"""Numbers of the mean pose that are added to the prediction: those of global and body rotations."""
MEAN_SCALE = 1.5
"""Mean scale of the crop's camera, which is added to the predicted one."""

# Statistics of ImageNet, red, green and blue.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PearNetwork(nn.Module):
    """PEAR's network: images of people -> their parameters."""

    fingerprint = ""
    """Hexadecimal hash of the weights, independent of the format of their file. It covers the first
    1024 numbers of each tensor; a change to later numbers alone does not show."""

    def __init__(self, depth: int, width: int, heads: int) -> None:
        """`depth`: blocks of the backbone; `width`: its channels; `heads`: its attention heads."""
        super().__init__()
        self.backbone = Backbone(depth, width, heads)
        self.head = Head(width)

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, VECTOR_SIZE) parameters, see pear_ros.pear.prediction.

        `images` (B, 3, 256, 256): red, green and blue from 0 to 1.
        """
        return self.head(self.backbone(images))


class Backbone(nn.Module):
    """Vision transformer: 16 rows of 12 patches of 16 x 16 pixels -> tokens."""

    def __init__(self, depth: int, width: int, heads: int) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(width)
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + TOKENS, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.last_norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, images: Tensor) -> Tensor:
        """Return tokens (B, N, C), row by row, of images (B, 3, 256, 256)."""
        # There is no class token, but its position is added to that of every patch.
        position = self.pos_embed[:, 1:] + self.pos_embed[:, :1]
        return self.last_norm(self.blocks(self.patch_embed(images) + position))


class PatchEmbedding(nn.Module):
    """Pixels -> normalised -> one token for each patch."""

    mean: Tensor
    std: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, PATCH, PATCH_PADDING)
        # In double precision, so that the network can be converted to any.
        for name, values in (("mean", _MEAN), ("std", _STD)):
            constant = torch.tensor(values, dtype=torch.float64, device="cpu").view(3, 1, 1)
            self.register_buffer(name, constant, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return tokens (B, N, C) of images (B, 3, 256, 256)."""
        seen = images[..., MARGIN:-MARGIN]  # (B, 3, 256, 192)
        normal = (seen - self.mean.to(images.dtype)) / self.std.to(images.dtype)
        # (B, C, 16, 12) -> (B, N, C), contiguous, or every block would work on transposed memory.
        return self.proj(normal).flatten(2).transpose(1, 2).contiguous()


class Block(nn.Module):
    """Pre-norm transformer block: x + Attention(LN(x)), then x + MLP(LN(x))."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, N, C) of tokens (B, N, C)."""
        x = x + self.attn(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return x


class Attention(nn.Module):
    """Multi-head self-attention: softmax(Q K^T / sqrt(D)) V, then a linear layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, N, C) of tokens (B, N, C)."""
        q, k, v = (_split_heads(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        return self.proj(_merge_heads(F.scaled_dot_product_attention(q, k, v)))


class Mlp(nn.Module):
    """Multilayer perceptron of the backbone: W_2 GELU(W_1 x + b_1) + b_2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, MLP_RATIO * width)
        self.fc2 = nn.Linear(MLP_RATIO * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, N, C) of tokens (B, N, C)."""
        return self.fc2(F.gelu(self.fc1(x)))


class Head(nn.Module):
    """Transformer decoder over the backbone's tokens, and linear read-outs of its query."""

    init_body_pose: Tensor

    def __init__(self, context: int) -> None:
        """`context`: width of the backbone."""
        super().__init__()
        self.transformer = Decoder(context)
        self.register_buffer("init_body_pose", torch.zeros(1, 318))
        self.smplx_poses_decoder = nn.Linear(DECODER_WIDTH, LAYOUT["rotations"])
        self.smplx_scale_decoder = nn.Linear(
            DECODER_WIDTH, LAYOUT["hand_scale"] + LAYOUT["head_scale"]
        )
        self.smplx_shape_decoder = nn.Linear(DECODER_WIDTH, LAYOUT["betas"])
        self.smplx_expression_decoder = nn.Linear(DECODER_WIDTH, LAYOUT["expression"])
        self.flame_poses_decoder = nn.Linear(
            DECODER_WIDTH, sum(LAYOUT[part] for part in ("eyes", "flame_pose", "jaw", "eyelids"))
        )
        self.flame_shape_decoder = nn.Linear(DECODER_WIDTH, LAYOUT["flame_shape"])
        self.flame_expression_decoder = nn.Linear(DECODER_WIDTH, LAYOUT["flame_expression"])
        self.cam_decoder = nn.Linear(DECODER_WIDTH, LAYOUT["camera"])

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, VECTOR_SIZE) in the order of LAYOUT, of tokens (B, N, C)."""
        token = self.transformer(tokens)  # (B, E)
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

    def __init__(self, context: int) -> None:
        super().__init__()
        self.to_token_embedding = nn.Linear(1, DECODER_WIDTH)
        self.pos_embedding = nn.Parameter(torch.zeros(1, 1, DECODER_WIDTH))
        self.transformer = nn.ModuleDict(
            {"layers": nn.ModuleList(_decoder_layer(context) for _ in range(DECODER_LAYERS))}
        )

    def forward(self, context: Tensor) -> Tensor:
        """Return the query token (B, E) after all layers; `context` (B, N, C): tokens."""
        # The token's input is the number 0, so of its embedding the bias remains.
        query = self.to_token_embedding.bias + self.pos_embedding
        x = query.expand(len(context), 1, DECODER_WIDTH)  # (B, 1, E)
        for layer in self.transformer["layers"].children():
            self_attention, cross_attention, mlp = layer.children()
            x = x + self_attention(x)
            x = x + cross_attention(x, context)
            x = x + mlp(x)
        return x[:, 0]


def _decoder_layer(context: int) -> nn.ModuleList:
    branches = (DecoderSelfAttention(), DecoderCrossAttention(context), DecoderMlp())
    return nn.ModuleList(PreNorm(branch) for branch in branches)


class PreNorm(nn.Module):
    """A branch of the decoder on the layer-normalised token: f(LN(x), context)."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(DECODER_WIDTH, eps=1e-5)
        self.fn = branch

    def forward(self, x: Tensor, *context: Tensor) -> Tensor:
        """Return (B, 1, E) of the token (B, 1, E)."""
        return self.fn(self.norm(x), *context)


class DecoderSelfAttention(nn.Module):
    """Self-attention over a single token: its softmax is 1, so the token's value is the result."""

    def __init__(self) -> None:
        super().__init__()
        self.to_qkv = nn.Linear(DECODER_WIDTH, 3 * DECODER_INNER, bias=False)
        self.to_out = nn.Sequential(nn.Linear(DECODER_INNER, DECODER_WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 1, E) of the token (B, 1, E)."""
        v = F.linear(x, self.to_qkv.weight[2 * DECODER_INNER :])  # (B, 1, H * D)
        return self.to_out(v)


class DecoderCrossAttention(nn.Module):
    """Multi-head cross-attention of the query token to the backbone's tokens."""

    def __init__(self, context: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(DECODER_WIDTH, DECODER_INNER, bias=False)
        self.to_kv = nn.Linear(context, 2 * DECODER_INNER, bias=False)
        self.to_out = nn.Sequential(nn.Linear(DECODER_INNER, DECODER_WIDTH))

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Return (B, 1, E) of the token x (B, 1, E) and the context (B, N, C)."""
        # q: (B, H, 1, D); k, v: (B, H, N, D)
        q, k, v = (
            _split_heads(part, DECODER_HEADS)
            for part in (self.to_q(x), *self.to_kv(context).chunk(2, dim=-1))
        )
        return self.to_out(_merge_heads(F.scaled_dot_product_attention(q, k, v)))


class DecoderMlp(nn.Module):
    """Multilayer perceptron of the decoder: W_2 GELU(W_1 x + b_1) + b_2."""

    def __init__(self) -> None:
        super().__init__()
        # The Identity stands where training has dropout: names of weights count positions.
        self.net = nn.Sequential(
            nn.Linear(DECODER_WIDTH, DECODER_MLP),
            nn.GELU(),
            nn.Identity(),
            nn.Linear(DECODER_MLP, DECODER_WIDTH),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, 1, E) of the token (B, 1, E)."""
        return self.net(x)


def _split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, N, H * D) -> (B, H, N, D)."""
    people, tokens, width = x.shape
    return x.view(people, tokens, heads, width // heads).transpose(1, 2)


def _merge_heads(x: Tensor) -> Tensor:
    """(B, H, N, D) -> (B, N, H * D)."""
    return x.transpose(1, 2).flatten(2)
