# SPDX-License-Identifier: Apache-2.0
"""PEAR's network in plain PyTorch: a vision transformer and a decoder with one query.

The backbone is a ViT (Dosovitskiy et al., ICLR 2021) as in ViTPose (Xu et al., NeurIPS 2022), the
head a transformer decoder as in HMR 2.0 (Goel et al., ICCV 2023). Modules bear the names that their
weights have in PEAR's checkpoint. There is neither dropout nor drop path: train() and eval() are
the same.
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
"""Columns at the left and the right of the input that the network does not look at."""
TOKENS = 16 * 12
MLP_RATIO = 4

DECODER_LAYERS = 6
DECODER_WIDTH = 1024
DECODER_HEADS, DECODER_HEAD_WIDTH = 8, 64
DECODER_INNER = DECODER_HEADS * DECODER_HEAD_WIDTH
DECODER_MLP = 1024

MEAN_POSE = 6 * 22
"""Numbers of the mean pose that are added to the prediction: those of global and body rotations."""
MEAN_SCALE = 1.5
"""Added to the predicted scale of the crop's camera."""

# Statistics of ImageNet, red, green and blue.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class PearNetwork(nn.Module):
    """Pictures of people -> their parameters."""

    fingerprint = ""
    """Hexadecimal digits that tell weights apart, whatever the format of their file. They cover the
    first 1024 numbers of each tensor; a change to later numbers alone does not show."""

    def __init__(self, depth: int, width: int, heads: int) -> None:
        """`depth` blocks of the backbone, its `width` in channels and its number of `heads`."""
        super().__init__()
        self.backbone = Backbone(depth, width, heads)
        self.head = Head(width)

    def forward(self, images: Tensor) -> Tensor:
        """(B, VECTOR_SIZE) numbers on the people in `images`, see pear_ros.pear.prediction.

        `images` (B, 3, 256, 256): red, green and blue from 0 to 1.
        """
        return self.head(self.backbone(images))


class Backbone(nn.Module):
    """Vision transformer over patches of 16 x 16 pixels, 16 rows of 12."""

    def __init__(self, depth: int, width: int, heads: int) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(width)
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + TOKENS, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.last_norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 192, width) tokens, row by row, of images (B, 3, 256, 256)."""
        # The place of the class token, which is not there, is added to every other.
        position = self.pos_embed[:, 1:] + self.pos_embed[:, :1]
        return self.last_norm(self.blocks(self.patch_embed(images) + position))


class PatchEmbedding(nn.Module):
    """Normalised pixels -> tokens."""

    mean: Tensor
    std: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, PATCH, PATCH_PADDING)
        # In double precision, so that the network can be had in any.
        for name, values in (("mean", _MEAN), ("std", _STD)):
            constant = torch.tensor(values, dtype=torch.float64, device="cpu").view(3, 1, 1)
            self.register_buffer(name, constant, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        seen = images[..., MARGIN:-MARGIN]
        normal = (seen - self.mean.to(images.dtype)) / self.std.to(images.dtype)
        # In order, or every block would work on memory that is transposed.
        return self.proj(normal).flatten(2).transpose(1, 2).contiguous()


class Block(nn.Module):
    """Attention and multi-layer perceptron, each behind a norm and added to what it was given."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.attn(self.norm1(tokens))
        tokens = tokens + self.mlp(self.norm2(tokens))
        return tokens


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        q, k, v = (_split(part, self.heads) for part in self.qkv(tokens).chunk(3, dim=-1))
        return self.proj(_join(F.scaled_dot_product_attention(q, k, v)))


class Mlp(nn.Module):
    """Two linear layers with GELU in between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, MLP_RATIO * width)
        self.fc2 = nn.Linear(MLP_RATIO * width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(tokens)))


class Head(nn.Module):
    """Decoder that asks the backbone's tokens about the one person, and linear read-outs."""

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
        """(B, VECTOR_SIZE) in the order of LAYOUT."""
        token = self.transformer(tokens)
        rotations, camera = self.smplx_poses_decoder(token), self.cam_decoder(token)
        parts = [
            # The file's mean pose is in another order than its use: it is added as it is.
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
    """Transformer decoder with a single query, the same for every picture."""

    def __init__(self, context: int) -> None:
        super().__init__()
        self.to_token_embedding = nn.Linear(1, DECODER_WIDTH)
        self.pos_embedding = nn.Parameter(torch.zeros(1, 1, DECODER_WIDTH))
        self.transformer = nn.ModuleDict(
            {"layers": nn.ModuleList(_decoder_layer(context) for _ in range(DECODER_LAYERS))}
        )

    def forward(self, context: Tensor) -> Tensor:
        """(B, 1024) the query, after it has seen `context` (B, 192, width)."""
        # What would be embedded is the number 0, of which the bias remains.
        query = self.to_token_embedding.bias + self.pos_embedding
        token = query.expand(len(context), 1, DECODER_WIDTH)
        for layer in self.transformer["layers"].children():
            attend_itself, attend_context, think = layer.children()
            token = token + attend_itself(token)
            token = token + attend_context(token, context)
            token = token + think(token)
        return token[:, 0]


def _decoder_layer(context: int) -> nn.ModuleList:
    branches = (QueryItself(), QueryContext(context), QueryMlp())
    return nn.ModuleList(PreNorm(branch) for branch in branches)


class PreNorm(nn.Module):
    """A branch of the decoder behind its norm."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(DECODER_WIDTH, eps=1e-5)
        self.fn = branch

    def forward(self, token: Tensor, *context: Tensor) -> Tensor:
        return self.fn(self.norm(token), *context)


class QueryItself(nn.Module):
    """Self-attention over one token: it can only attend to itself, so its value goes through."""

    def __init__(self) -> None:
        super().__init__()
        self.to_qkv = nn.Linear(DECODER_WIDTH, 3 * DECODER_INNER, bias=False)
        self.to_out = nn.Sequential(nn.Linear(DECODER_INNER, DECODER_WIDTH))

    def forward(self, token: Tensor) -> Tensor:
        value = F.linear(token, self.to_qkv.weight[2 * DECODER_INNER :])
        return self.to_out(value)


class QueryContext(nn.Module):
    """Cross-attention of the query on the backbone's tokens."""

    def __init__(self, context: int) -> None:
        super().__init__()
        self.to_q = nn.Linear(DECODER_WIDTH, DECODER_INNER, bias=False)
        self.to_kv = nn.Linear(context, 2 * DECODER_INNER, bias=False)
        self.to_out = nn.Sequential(nn.Linear(DECODER_INNER, DECODER_WIDTH))

    def forward(self, token: Tensor, context: Tensor) -> Tensor:
        q, k, v = (
            _split(part, DECODER_HEADS)
            for part in (self.to_q(token), *self.to_kv(context).chunk(2, dim=-1))
        )
        return self.to_out(_join(F.scaled_dot_product_attention(q, k, v)))


class QueryMlp(nn.Module):
    """Two linear layers with GELU in between."""

    def __init__(self) -> None:
        super().__init__()
        # In training dropout has the place of the Identity.
        self.net = nn.Sequential(
            nn.Linear(DECODER_WIDTH, DECODER_MLP),
            nn.GELU(),
            nn.Identity(),
            nn.Linear(DECODER_MLP, DECODER_WIDTH),
        )

    def forward(self, token: Tensor) -> Tensor:
        return self.net(token)


def _split(features: Tensor, heads: int) -> Tensor:
    """(B, N, heads x C) -> (B, heads, N, C)."""
    people, tokens, width = features.shape
    return features.view(people, tokens, heads, width // heads).transpose(1, 2)


def _join(features: Tensor) -> Tensor:
    """(B, heads, N, C) -> (B, N, heads x C)."""
    return features.transpose(1, 2).flatten(2)
