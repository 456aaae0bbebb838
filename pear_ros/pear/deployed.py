# SPDX-License-Identifier: Apache-2.0
"""PEAR's network as it is run: bytes in, the backbone in any precision, constants folded.

The same function as pear_ros.pear.network.PearNetwork, to rounding; one module for the export to
ONNX and for torch. Patches -> vision transformer (ViT, Dosovitskiy et al., ICLR 2021) ->
transformer decoder with one query (Vaswani et al., NeurIPS 2017) -> linear read-outs.

Shapes in comments: B people, N = 192 tokens, C channels of the backbone, H heads of D channels,
E = 1024 channels of the decoder, L = 6 layers of the decoder, P = VECTOR_SIZE parameters.

Folded, that is computed once here instead of for each image. Each is exact in real numbers:

- pixels from 0 to 255 instead of 0 to 1: (p / 255 - m) / s = (p - 255 m) / (255 s)
- blue, green, red instead of red, green, blue: mean, deviation and kernel are reversed
- the patches' convolution: its kernel is as large as its stride, so it is a matrix product
- the position embedding: the constant sum of a patch's own and the (absent) class token's
- self-attention in the decoder: softmax over a single token is 1, so it is W_o W_v x + b_o
- the decoder's first query: nothing of the image has reached it yet, so it is a constant
- keys and values of all decoder layers: they are of the same tokens, so they are one product
- all read-outs: they are of the same token, so they are one product; its bias has the mean person
"""

# mypy: disable-error-code="no-any-return"
# (calls of modules have no type of their own)

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from pear_ros.pear.crop import INPUT_SIZE
from pear_ros.pear.network import (
    DECODER_HEAD_WIDTH,
    DECODER_HEADS,
    DECODER_INNER,
    DECODER_LAYERS,
    MARGIN,
    MEAN_POSE,
    MEAN_SCALE,
    PATCH,
    PATCH_PADDING,
    TOKENS,
    Backbone,
    Block,
    Decoder,
    Head,
    PearNetwork,
)

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""What the backbone can be computed in."""

_ROWS, _COLUMNS = INPUT_SIZE // PATCH, TOKENS // (INPUT_SIZE // PATCH)
"""Of patches."""

Attention: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""softmax(Q K^T / sqrt(D)) V of Q, K and V (B, H, N, D)."""


class DeployedNetwork(nn.Module):
    """PEAR's network: crops of people -> their parameters.

    The backbone, and the keys and values that the decoder makes of its tokens, are computed in a
    precision of choice; all else in fp32: the pixels' normalisation, the decoder's query and the
    read-outs, the backbone's residual stream and its norms. With a half-precision residual stream
    the numbers' error (RMS against fp32, synthetic weights) was 1.3 times as large at 12 blocks and
    1.5 to 1.7 times at 32, for fp16 as for bf16. Weights that have the wanted precision already are
    shared with the given network, not copied.
    """

    def __init__(self, network: PearNetwork, precision: str, explicit_attention: bool) -> None:
        """`network` in fp32; `precision` of the backbone: one of PRECISIONS.

        `explicit_attention`: matrix products and a softmax, in the order that TensorRT fuses,
        instead of torch's fused attention.
        """
        super().__init__()
        self.fingerprint = network.fingerprint
        self.precision = precision
        dtype = PRECISIONS[precision]
        attend = attention if explicit_attention else F.scaled_dot_product_attention
        self.pixels = _Patches(network.backbone)
        self.body = _Backbone(network.backbone, dtype, attend)
        self.decoder = _Decoder(network.head, dtype)
        self.requires_grad_(False).eval()

    def forward(self, crops: Tensor) -> Tensor:
        """Return (B, VECTOR_SIZE) float32 parameters, see pear_ros.pear.prediction.

        `crops` (B, 256, 256, 3) uint8: blue, green and red.
        """
        # TensorRT can do nothing to bytes but convert them.
        return self._infer(crops.float())

    def from_pictures(self, images: Tensor) -> Tensor:
        """Return (B, VECTOR_SIZE) float32 parameters, see pear_ros.pear.prediction.

        `images` (B, 3, 256, 256) float32: red, green and blue from 0 to 1.
        """
        return self._infer(255.0 * images.permute(0, 2, 3, 1).flip(-1))

    def _infer(self, pixels: Tensor) -> Tensor:
        patches = self.pixels(pixels)  # (B, 256, 256, 3) -> (B, N, 768)
        tokens = self.body(patches)  # (B, N, C)
        return self.decoder(tokens)  # (B, P)


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return softmax(Q K^T / sqrt(D)) V of Q, K and V (..., N, D), step by step."""
    scaled = q * q.shape[-1] ** -0.5
    weights = torch.softmax(scaled @ k.transpose(-2, -1), dim=-1)  # (..., N, N)
    return weights @ v


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
        self.patches = _linear(weight, patches.bias, dtype)
        # Folded: each patch's position and that of the class token, which there is none of.
        position = backbone.pos_embed.double()
        self.position = _constant(position[:, 1:] + position[:, :1])  # (1, N, C)
        blocks = (block for block in backbone.blocks if isinstance(block, Block))
        self.blocks = nn.Sequential(*(_Block(block, dtype, attend) for block in blocks))
        self.last_norm = _norm(backbone.last_norm)

    def forward(self, patches: Tensor) -> Tensor:
        """Return tokens (B, N, C) of patches (B, N, 768)."""
        x = _in_own_precision(self.patches, patches) + self.position
        return self.last_norm(self.blocks(x))


class _Block(nn.Module):
    """Block of the backbone: x + SelfAttention(LN(x)), then x + MLP(LN(x))."""

    def __init__(self, block: Block, dtype: torch.dtype, attend: Attention) -> None:
        super().__init__()
        self.attend, self.heads = attend, block.attn.heads
        self.norm1 = _norm(block.norm1)
        self.qkv = _linear(block.attn.qkv.weight, block.attn.qkv.bias, dtype)
        self.proj = _linear(block.attn.proj.weight, block.attn.proj.bias, dtype)
        self.norm2 = _norm(block.norm2)
        self.mlp = _Mlp(block.mlp.fc1, block.mlp.fc2, dtype)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = _in_own_precision(self.qkv, self.norm1(x)).chunk(3, dim=-1)  # (B, N, C) each
        shape = (-1, TOKENS, self.heads, q.shape[-1] // self.heads)
        q, k, v = (part.reshape(shape).transpose(1, 2) for part in (q, k, v))  # (B, H, N, D) each
        attended = self.attend(q, k, v).transpose(1, 2).flatten(2)  # (B, N, C)
        x = x + self.proj(attended)
        return x + self.mlp(self.norm2(x))


class _Mlp(nn.Module):
    """Multilayer perceptron: W_2 GELU(W_1 x + b_1) + b_2."""

    def __init__(self, fc1: nn.Linear, fc2: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.fc1 = _linear(fc1.weight, fc1.bias, dtype)
        self.fc2 = _linear(fc2.weight, fc2.bias, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(_in_own_precision(self.fc1, x)))


class _Decoder(nn.Module):
    """Transformer decoder with a single query token, and the read-outs of that token."""

    def __init__(self, head: Head, dtype: torch.dtype) -> None:
        super().__init__()
        layers = [*head.transformer.transformer["layers"].children()]
        cross_attentions: list[Any] = [[*layer.children()][1] for layer in layers]
        # Folded: keys and values of all layers as one product, (L * 2 * H * D, C).
        weights = [attention.fn.to_kv.weight for attention in cross_attentions]
        self.to_kv = _linear(torch.cat(weights), None, dtype)
        # Folded: the token and its query in the first layer, before it has attended to the image.
        token, query = _first_query(head.transformer)
        self.token, self.query = _constant(token), _constant(query)  # (1, 1, E), (1, H, 1, D)
        self.layers = nn.ModuleList(
            _DecoderLayer(layer, is_first=n == 0) for n, layer in enumerate(layers)
        )
        self.read_out = _read_out(head)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return (B, P) parameters of the backbone's tokens (B, N, C)."""
        shape = (-1, TOKENS, 2 * DECODER_LAYERS, DECODER_HEADS, DECODER_HEAD_WIDTH)
        kv = _in_own_precision(self.to_kv, tokens).reshape(shape).permute(2, 0, 3, 1, 4)
        # (2 L, B, H, N, D): K and V of each layer in turn, made contiguous for all at once.
        keys_values = kv.to(torch.float32, memory_format=torch.contiguous_format).unbind()
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

    def __init__(self, layer: nn.Module, is_first: bool) -> None:
        super().__init__()
        branches: list[Any] = [*layer.children()]
        self_attention, cross_attention, mlp = branches
        if not is_first:
            self.norm1 = _norm(self_attention.norm)
            # Folded: a single token attends to itself alone, its softmax is 1: W_o W_v x + b_o.
            out = self_attention.fn.to_out[0]
            value = self_attention.fn.to_qkv.weight[2 * DECODER_INNER :]
            self.self_attention = _linear(out.weight.double() @ value.double(), out.bias)
            self.norm2 = _norm(cross_attention.norm)
            self.to_q = _linear(cross_attention.fn.to_q.weight, None)
        out = cross_attention.fn.to_out[0]
        self.to_out = _linear(out.weight, out.bias)
        self.norm3 = _norm(mlp.norm)
        fc1, *_, fc2 = mlp.fn.net
        self.mlp = _Mlp(fc1, fc2, torch.float32)

    def self_attend(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return x (B, 1, E) after self-attention, and Q (B, H, 1, D) for the cross-attention."""
        x = x + self.self_attention(self.norm1(x))
        return x, _split_heads(self.to_q(self.norm2(x)))

    def cross_attend(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return x (B, 1, E) after cross-attention and MLP.

        q: (B, H, 1, D); k, v: (B, H, N, D), of the backbone's tokens.
        """
        attended = attention(q, k, v)  # (B, H, 1, D)
        x = x + self.to_out(attended.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm3(x))


def _in_own_precision(layer: nn.Linear, x: Tensor) -> Tensor:
    """Return layer(x), computed in the precision of the layer's weights."""
    return layer(x.to(layer.weight.dtype))


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
    return x, _split_heads(_in_float64(fn.to_q, _in_float64(norm, x)))


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
    return _linear(torch.cat([layer.weight for layer in layers]), bias)


def _constant(values: Tensor, dtype: torch.dtype = torch.float32) -> nn.Parameter:
    return nn.Parameter(values.to(dtype), requires_grad=False)


def _linear(weight: Tensor, bias: Tensor | None, dtype: torch.dtype = torch.float32) -> nn.Linear:
    with torch.device("meta"):
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias is not None)
    layer.weight = _constant(weight, dtype)
    if bias is not None:
        layer.bias = _constant(bias, dtype)
    return layer


def _norm(norm: nn.LayerNorm) -> nn.LayerNorm:
    with torch.device("meta"):
        copy = nn.LayerNorm(norm.normalized_shape, norm.eps)
    copy.weight, copy.bias = _constant(norm.weight), _constant(norm.bias)
    return copy
