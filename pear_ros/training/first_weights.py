# SPDX-License-Identifier: Apache-2.0
"""First weights of a backbone that begins with nothing: with few samples they decide much.

Positions are sines and cosines of row and column (Beyer et al., Better plain ViT baselines, 2022);
queries and keys of a token begin alike, values and output nearly opposite, as in trained networks
(Trockman and Kolter, Mimetic Initialization of Self-Attention Layers, ICML 2023); other layers as
by Glorot and Bengio (AISTATS 2010).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pear_ros.pear.backbone import PATCH, TOKENS, Attention, Backbone
from pear_ros.pear.crop import INPUT_SIZE

_LONGEST_WAVE = 10_000.0
"""Longest wave of the positions over 2 pi, tokens."""
_QUERY_KEY = (0.7, 0.7)
_VALUE_OUTPUT = (0.4, -0.4)
"""Factors of noise and of the identity in products of weights (mimetic initialisation)."""


@torch.no_grad()
def initialise(backbone: Backbone) -> None:
    """Draw weights, from torch's generator of random numbers."""
    for module in backbone.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight.view(len(module.weight), -1))
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    for module in backbone.modules():
        if isinstance(module, Attention):
            _initialise_attention(module)
    nn.init.zeros_(backbone.pos_embed)
    backbone.pos_embed[0, 1:] = positions(backbone.pos_embed.shape[-1])


def positions(width: int) -> Tensor:
    """Return position embeddings (N, width) of the tokens, row by row."""
    rows = INPUT_SIZE // PATCH
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(TOKENS // rows), indexing="ij")
    waves = width // 4
    frequency = _LONGEST_WAVE ** (-torch.arange(waves) / waves)
    angles = [axis.flatten()[:, None] * frequency for axis in (row, column)]
    parts = [function(angle) for angle in angles for function in (torch.sin, torch.cos)]
    return nn.functional.pad(torch.cat(parts, dim=1), (0, width - 4 * waves))


def _initialise_attention(attention: Attention) -> None:
    width = attention.proj.weight.shape[0]
    size = width // attention.heads
    query, key, value = attention.qkv.weight.chunk(3)
    for head in range(attention.heads):
        rows = slice(head * size, (head + 1) * size)
        left, right = _factors(width, _QUERY_KEY, size)
        query[rows], key[rows] = left.T, right
    left, right = _factors(width, _VALUE_OUTPUT, width)
    attention.proj.weight.copy_(left)
    value.copy_(right)


def _factors(width: int, factors: tuple[float, float], rank: int) -> tuple[Tensor, Tensor]:
    """Return A (width, rank) and B (rank, width) with A B near noise + identity, by `factors`."""
    noise, identity = factors
    product = noise * torch.randn(width, width) / width**0.5 + identity * torch.eye(width)
    left, values, right = torch.linalg.svd(product)
    root = values[:rank].sqrt()
    return left[:, :rank] * root, root[:, None] * right[:rank]
