# SPDX-License-Identifier: Apache-2.0
"""Layers of the deployed network: weights in a precision of choice, shared with the given ones.

Shapes in comments: B people, N tokens of C channels, H heads of D channels.
"""

# mypy: disable-error-code="no-any-return"
# (calls of modules have no type of their own)

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Attention: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""softmax(Q K^T) V of Q, K and V (B, H, N, D); Q is scaled by D^-1/2 already."""


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return softmax(Q K^T) V of Q, K and V (..., N, D), step by step."""
    weights = torch.softmax(q @ k.transpose(-2, -1), dim=-1)  # (..., N, N)
    return weights @ v


def attention_in_fp32(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return softmax(Q K^T) V of Q, K and V (..., N, D) in their precision, computed in fp32."""
    return attention(q.float(), k.float(), v.float()).to(q.dtype)


def fused_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return softmax(Q K^T) V of Q, K and V (B, H, N, D) by torch's fused attention."""
    return F.scaled_dot_product_attention(q, k, v, scale=1.0)


class Mlp(nn.Module):
    """Multilayer perceptron: W_2 GELU(W_1 x + b_1) + b_2."""

    def __init__(self, fc1: nn.Linear, fc2: nn.Linear, dtype: torch.dtype) -> None:
        """`fc1`, `fc2`: layers with the weights; `dtype`: precision of the products."""
        super().__init__()
        self.fc1 = frozen_linear(fc1.weight, fc1.bias, dtype)
        self.fc2 = frozen_linear(fc2.weight, fc2.bias, dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, N, C) of tokens (B, N, C)."""
        return self.fc2(F.gelu(in_own_precision(self.fc1, x)))


def in_own_precision(layer: nn.Linear, x: Tensor) -> Tensor:
    """Return layer(x), computed in the precision of the layer's weights."""
    return layer(x.to(layer.weight.dtype))


def frozen(values: Tensor, dtype: torch.dtype = torch.float32) -> nn.Parameter:
    """Return `values` as a parameter without gradient; shared where the precision is the same."""
    return nn.Parameter(values.to(dtype), requires_grad=False)


def frozen_linear(
    weight: Tensor, bias: Tensor | None, dtype: torch.dtype = torch.float32
) -> nn.Linear:
    """Return the layer x W^T + b of `weight` W (outputs, inputs) and `bias` b (outputs,)."""
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    layer.weight = frozen(weight, dtype)
    if bias is not None:
        layer.bias = frozen(bias, dtype)
    return layer


def frozen_norm(norm: nn.LayerNorm) -> nn.LayerNorm:
    """Return the layer normalisation `norm` in fp32, without gradient."""
    with torch.device("meta"):
        copy = nn.LayerNorm(norm.normalized_shape, norm.eps)
    copy.weight, copy.bias = frozen(norm.weight), frozen(norm.bias)
    return copy
