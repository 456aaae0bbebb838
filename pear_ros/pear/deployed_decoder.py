# SPDX-License-Identifier: Apache-2.0
"""PEAR's decoder as it is run: one query token attends to the image; its read-outs, one product.

The same function as pear_ros.pear.decoder.Head, to rounding. Each layer is a pre-norm transformer
decoder layer (Vaswani et al., NeurIPS 2017): self-attention, cross-attention, MLP.

Shapes in comments: B people, N = 192 tokens, C channels of the backbone, H = 8 heads of D = 64
channels, E channels of the decoder, L layers, P = VECTOR_SIZE parameters.

Folded, that is computed once here instead of for each image. Each is exact in real numbers:

- self-attention: the softmax over a single token is 1, so it is W_o W_v x + b_o
- the first query: nothing of the image has reached it yet, so it is a constant
- keys and values of all layers: they are of the same tokens, so they are one product
- all read-outs: they are of the same token, so they are one product; its bias has the mean person
- D^-1/2 of the attention, a power of two: in the weights of the query

The token itself, to which all layers add, its norms and the read-outs are always in fp32.
"""

# mypy: disable-error-code="no-any-return"
# (calls of modules have no type of their own)

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from pear_ros.pear.backbone import TOKENS
from pear_ros.pear.decoder import (
    DECODER_HEAD_WIDTH,
    DECODER_HEADS,
    DECODER_INNER,
    MEAN_POSE,
    MEAN_SCALE,
    Decoder,
    Head,
)
from pear_ros.pear.deployed_layers import (
    Mlp,
    attention,
    frozen,
    frozen_linear,
    frozen_norm,
    in_own_precision,
)


class DeployedDecoder(nn.Module):
    """Transformer decoder with a single query token, and the read-outs of that token."""

    def __init__(self, head: Head, dtype: torch.dtype, weights: torch.dtype) -> None:
        """`dtype` of keys and values; `weights`: that of all other layers but the read-outs."""
        super().__init__()
        layers = [*head.transformer.transformer["layers"].children()]
        cross_attentions: list[Any] = [[*layer.children()][1] for layer in layers]
        # Folded: keys and values of all layers as one product, (L * 2 * H * D, C).
        of_kv = [branch.fn.to_kv.weight for branch in cross_attentions]
        self.to_kv = frozen_linear(torch.cat(of_kv), None, dtype)
        # Folded: the token and its query in the first layer, before it has attended to the image.
        token, query = _first_query(head.transformer)
        self.token = frozen(token)  # (1, 1, E)
        self.query = frozen(query, weights)  # (1, H, 1, D)
        self.layers = nn.ModuleList(
            _DecoderLayer(layer, weights, is_first=n == 0) for n, layer in enumerate(layers)
        )
        self.read_out = _read_out(head)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, P) parameters of the backbone's tokens (B, N, C)."""
        shape = (-1, TOKENS, 2 * len(self.layers), DECODER_HEADS, DECODER_HEAD_WIDTH)
        kv = in_own_precision(self.to_kv, tokens).reshape(shape).permute(2, 0, 3, 1, 4)
        # (2 L, B, H, N, D): K and V of each layer in turn, made contiguous for all at once.
        order = torch.contiguous_format
        keys_values = kv.to(self.query.dtype, copy=True, memory_format=order).unbind()
        x: Tensor = self.token
        q: Tensor = self.query
        for n, layer in enumerate(self.layers.children()):
            assert isinstance(layer, _DecoderLayer)
            if n > 0:
                x, q = layer.self_attend(x)
            x = layer.cross_attend(x, q, keys_values[2 * n], keys_values[2 * n + 1])
        return self.read_out(x.flatten(1))


class _DecoderLayer(nn.Module):
    """x + SelfAttention(LN(x)), then x + CrossAttention(LN(x), tokens), then x + MLP(LN(x)).

    Of the first layer only what follows its query, which is a constant.
    """

    def __init__(self, layer: nn.Module, dtype: torch.dtype, is_first: bool) -> None:
        super().__init__()
        branches: list[Any] = [*layer.children()]
        self_attention, cross_attention, mlp = branches
        if not is_first:
            self.norm1 = frozen_norm(self_attention.norm)
            # Folded: a single token attends to itself alone, its softmax is 1: W_o W_v x + b_o.
            out = self_attention.fn.to_out[0]
            value = self_attention.fn.to_qkv.weight[2 * DECODER_INNER :]
            self.self_attention = frozen_linear(
                out.weight.double() @ value.double(), out.bias, dtype
            )
            self.norm2 = frozen_norm(cross_attention.norm)
            # Folded: D^-1/2 of the attention.
            query = cross_attention.fn.to_q.weight
            self.to_q = frozen_linear(query * DECODER_HEAD_WIDTH**-0.5, None, dtype)
        out = cross_attention.fn.to_out[0]
        self.to_out = frozen_linear(out.weight, out.bias, dtype)
        self.norm3 = frozen_norm(mlp.norm)
        fc1, *_, fc2 = mlp.fn.net
        self.mlp = Mlp(fc1, fc2, dtype)

    def self_attend(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return x (B, 1, E) after self-attention, and Q (B, H, 1, D) for the cross-attention."""
        x = x + in_own_precision(self.self_attention, self.norm1(x))
        return x, _split_heads(in_own_precision(self.to_q, self.norm2(x)))

    def cross_attend(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return x (B, 1, E) after cross-attention and MLP.

        q: (B, H, 1, D); k, v: (B, H, N, D), of the backbone's tokens.
        """
        attended = attention(q, k, v)  # (B, H, 1, D)
        x = x + in_own_precision(self.to_out, attended.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm3(x))


def _split_heads(query: Tensor) -> Tensor:
    """Return (B, H, 1, D) of a query (B, 1, H * D)."""
    return query.reshape(-1, 1, DECODER_HEADS, DECODER_HEAD_WIDTH).transpose(1, 2)


def _first_query(decoder: Decoder) -> tuple[Tensor, Tensor]:
    """Return the token (1, 1, E) after the first self-attention, and its query (1, H, 1, D).

    In float64: it is rounded once only.
    """
    first = next(decoder.transformer["layers"].children())
    self_attention, cross_attention, _ = first.children()
    x = decoder.to_token_embedding.bias.double() + decoder.pos_embedding.double()
    x = x + _in_float64(self_attention, x)
    fn: Any = cross_attention.fn
    norm: Any = cross_attention.norm
    query = DECODER_HEAD_WIDTH**-0.5 * _in_float64(fn.to_q, _in_float64(norm, x))
    return x, _split_heads(query)


def _in_float64(module: nn.Module, x: Tensor) -> Tensor:
    weights = {name: weight.double() for name, weight in module.named_parameters()}
    return functional_call(module, weights, x)


def _read_out(head: Head) -> nn.Linear:
    """Return all read-outs as one layer, in the order of LAYOUT.

    Folded: the mean pose and the mean scale are added to its bias, in float64.
    """
    layers = (
        head.smplx_poses_decoder,
        head.smplx_scale_decoder,
        head.smplx_shape_decoder,
        head.smplx_expression_decoder,
        head.flame_poses_decoder,
        head.flame_shape_decoder,
        head.flame_expression_decoder,
        head.cam_decoder,
    )
    bias = torch.cat([layer.bias for layer in layers]).double()
    bias[:MEAN_POSE] += head.init_body_pose[0, :MEAN_POSE]
    bias[-1] += MEAN_SCALE
    return frozen_linear(torch.cat([layer.weight for layer in layers]), bias)
