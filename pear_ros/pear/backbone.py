# SPDX-License-Identifier: Apache-2.0
"""PEAR's backbone in plain PyTorch: a vision transformer (ViT) that turns an image into tokens.

It is a ViT (Dosovitskiy et al., ICLR 2021) as in ViTPose (Xu et al., NeurIPS 2022). Modules have
the names that their weights have in PEAR's checkpoint. There is neither dropout nor drop path:
train() and eval() are the same.

Shapes in comments: B people, N = 192 tokens, C channels, H heads of D channels.
"""

# mypy: disable-error-code="no-any-return"
# (calls of modules have no type of their own)

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PATCH, PATCH_PADDING = 16, 2
MARGIN = 32
"""Columns at the left and at the right of the input that the network leaves out, pixels."""
TOKENS = 16 * 12
"""Patches of an image: 16 rows of 12."""
MLP_RATIO = 4
"""Hidden channels of the backbone's MLP over its width."""

# Statistics of ImageNet, red, green and blue.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


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
        q, k, v = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, dim=-1))
        return self.proj(merge_heads(F.scaled_dot_product_attention(q, k, v)))


class Mlp(nn.Module):
    """Multilayer perceptron of the backbone: W_2 GELU(W_1 x + b_1) + b_2."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, MLP_RATIO * width)
        self.fc2 = nn.Linear(MLP_RATIO * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, N, C) of tokens (B, N, C)."""
        return self.fc2(F.gelu(self.fc1(x)))


def split_heads(x: Tensor, heads: int) -> Tensor:
    """Return (B, H, N, D) of `x` (B, N, H * D)."""
    people, tokens, width = x.shape
    return x.view(people, tokens, heads, width // heads).transpose(1, 2)


def merge_heads(x: Tensor) -> Tensor:
    """Return (B, N, H * D) of `x` (B, H, N, D)."""
    return x.transpose(1, 2).flatten(2)
