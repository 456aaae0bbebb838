# SPDX-License-Identifier: Apache-2.0
"""PEAR's network as it is run: bytes in, body in any precision, constants folded.

The same numbers as PearNetwork, to rounding. One module for the export to ONNX and for torch. What
the body is computed in is told by its weights alone.
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
    PreNorm,
)

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""What the body can be computed in."""

_ROWS = INPUT_SIZE // PATCH
"""Of patches."""

Attend: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]


class DeployedNetwork(nn.Module):
    """Crops of people -> their parameters.

    The body (backbone, and the keys and values that the decoder asks of it) is computed in a
    precision of choice, all else in fp32: the pixels' normalisation, the decoder's one query and
    its read-outs. So are the sums that run through the backbone, and its norms: with half-precision
    sums the numbers' error (RMS against fp32, made-up weights) was 1.3 times as large at 12 blocks
    and 1.5 to 1.7 times at 32, for fp16 as for bf16. Weights that are in the wanted precision
    already are shared, not copied.
    """

    def __init__(self, network: PearNetwork, precision: str, explicit_attention: bool) -> None:
        """`network` in fp32; `precision`: one of PRECISIONS, of the body.

        `explicit_attention`: matrix products and a softmax, in the order that TensorRT fuses,
        instead of torch's fused attention.
        """
        super().__init__()
        self.fingerprint = network.fingerprint
        self.precision = precision
        dtype = PRECISIONS[precision]
        attend = attention if explicit_attention else F.scaled_dot_product_attention
        self.pixels = _Pixels(network.backbone)
        self.body = _Body(network.backbone, dtype, attend)
        self.decoder = _Decoder(network.head, dtype)
        self.requires_grad_(False).eval()

    def forward(self, crops: Tensor) -> Tensor:
        """(B, VECTOR_SIZE) float32 numbers on the people in `crops`, see pear_ros.pear.prediction.

        `crops` (B, 256, 256, 3) uint8: blue, green and red.
        """
        # TensorRT can do nothing to bytes but convert them.
        return self._read(crops.float())

    def from_pictures(self, images: Tensor) -> Tensor:
        """The same of `images` (B, 3, 256, 256), float32: red, green and blue from 0 to 1."""
        return self._read(255.0 * images.permute(0, 2, 3, 1).flip(-1))

    def _read(self, pixels: Tensor) -> Tensor:
        return self.decoder(self.body(self.pixels(pixels)))


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(C)) v of (..., N, C), step by step."""
    scaled = q * q.shape[-1] ** -0.5
    return torch.softmax(scaled @ k.transpose(-2, -1), dim=-1) @ v


class _Pixels(nn.Module):
    """Bytes as numbers -> normalised patches."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        for name, of_rgb in backbone.patch_embed.named_buffers():
            self.register_buffer(name, (255.0 * of_rgb.flatten().flip(0)).float())

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 192, 768) rows, columns and colours of each patch, of (B, 256, 256, 3).

        The first row and the first column of patches begin beyond the picture, in zeros; the rest
        of a patch at its other borders is left out.
        """
        rest = slice(-PATCH_PADDING)
        seen = pixels[:, rest, MARGIN:-MARGIN][:, :, rest]
        normal = F.pad((seen - self.mean) / self.std, (0, 0, PATCH_PADDING, 0, PATCH_PADDING, 0))
        patches = normal.reshape(-1, _ROWS, PATCH, TOKENS // _ROWS, PATCH, 3).transpose(2, 3)
        return patches.reshape(-1, TOKENS, PATCH * PATCH * 3)


class _Body(nn.Module):
    """The backbone."""

    def __init__(self, backbone: Backbone, dtype: torch.dtype, attend: Attend) -> None:
        super().__init__()
        # As a matrix product: until opset 22 ONNX has no convolution in bf16.
        patches = backbone.patch_embed.proj
        weight = patches.weight.flip(1).permute(0, 2, 3, 1).flatten(1)  # for blue, green and red
        self.patches = _linear(weight, patches.bias, dtype)
        position = backbone.pos_embed.double()
        self.position = _constant(position[:, 1:] + position[:, :1])
        blocks = (block for block in backbone.blocks if isinstance(block, Block))
        self.blocks = nn.Sequential(*(_Block(block, dtype, attend) for block in blocks))
        self.last_norm = _norm(backbone.last_norm)

    def forward(self, patches: Tensor) -> Tensor:
        """(B, 192, width) tokens."""
        tokens = _lower(self.patches, patches) + self.position
        return self.last_norm(self.blocks(tokens))


class _Block(nn.Module):
    """Attention and multi-layer perceptron; their sum with what came before."""

    def __init__(self, block: Block, dtype: torch.dtype, attend: Attend) -> None:
        super().__init__()
        self.attend, self.heads = attend, block.attn.heads
        self.norm1 = _norm(block.norm1)
        self.qkv = _linear(block.attn.qkv.weight, block.attn.qkv.bias, dtype)
        self.proj = _linear(block.attn.proj.weight, block.attn.proj.bias, dtype)
        self.norm2 = _norm(block.norm2)
        self.fc1 = _linear(block.mlp.fc1.weight, block.mlp.fc1.bias, dtype)
        self.fc2 = _linear(block.mlp.fc2.weight, block.mlp.fc2.bias, dtype)

    def forward(self, tokens: Tensor) -> Tensor:
        q, k, v = _lower(self.qkv, self.norm1(tokens)).chunk(3, dim=-1)
        shape = (-1, TOKENS, self.heads, q.shape[-1] // self.heads)
        q, k, v = (part.reshape(shape).transpose(1, 2) for part in (q, k, v))
        seen = self.attend(q, k, v).transpose(1, 2).flatten(2)
        tokens = tokens + self.proj(seen)
        thought = self.fc2(F.gelu(_lower(self.fc1, self.norm2(tokens))))
        return tokens + thought


class _Decoder(nn.Module):
    """The head. Its first query is the same for everybody: what is asked with it is constant."""

    def __init__(self, head: Head, dtype: torch.dtype) -> None:
        super().__init__()
        layers: list[list[Any]] = [
            [*branches.children()] for branches in head.transformer.transformer["layers"].children()
        ]
        itself, contexts, thoughts = zip(*layers, strict=True)
        self.to_kv = _linear(torch.cat([c.fn.to_kv.weight for c in contexts]), None, dtype)
        token, query = _first_query(head.transformer, itself[0], contexts[0])
        self.token, self.query = _constant(token), _constant(query)
        self.queries = nn.ModuleList(map(_Query, itself[1:], contexts[1:]))
        self.answers = nn.ModuleList(map(_Answer, contexts, thoughts))
        self.read_out = _read_out(head)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, VECTOR_SIZE) of tokens (B, 192, width)."""
        shape = (-1, TOKENS, 2 * DECODER_LAYERS, DECODER_HEADS, DECODER_HEAD_WIDTH)
        asked = _lower(self.to_kv, tokens).reshape(shape).permute(2, 0, 3, 1, 4)
        # Keys and values of each layer, (B, heads, 192, C), put in order for all at once.
        parts = asked.to(torch.float32, memory_format=torch.contiguous_format).unbind()
        token, query = self.token, self.query
        for n, answer in enumerate(self.answers):
            if n > 0:
                token, query = self.queries[n - 1](token)
            token = answer(token, attention(query, parts[2 * n], parts[2 * n + 1]))
        return self.read_out(token.flatten(1))


class _Query(nn.Module):
    """Self-attention over one token, and what the token asks then."""

    def __init__(self, itself: PreNorm, context: PreNorm) -> None:
        super().__init__()
        self.norm1 = _norm(itself.norm)
        # One token can only attend to itself: value and output are one linear layer.
        branch: Any = itself.fn
        out, value = branch.to_out[0], branch.to_qkv.weight[2 * DECODER_INNER :]
        self.itself = _linear(out.weight.double() @ value.double(), out.bias)
        self.norm2 = _norm(context.norm)
        asks: Any = context.fn
        self.to_q = _linear(asks.to_q.weight, None)

    def forward(self, token: Tensor) -> tuple[Tensor, Tensor]:
        """The token (B, 1, 1024) and its query (B, heads, 1, C)."""
        token = token + self.itself(self.norm1(token))
        return token, _split(self.to_q(self.norm2(token)))


class _Answer(nn.Module):
    """What the token makes of what it was told."""

    def __init__(self, context: PreNorm, think: PreNorm) -> None:
        super().__init__()
        asked: Any = context.fn
        thinks: Any = think.fn
        out = asked.to_out[0]
        self.to_out = _linear(out.weight, out.bias)
        self.norm = _norm(think.norm)
        first, *_, last = thinks.net
        self.fc1 = _linear(first.weight, first.bias)
        self.fc2 = _linear(last.weight, last.bias)

    def forward(self, token: Tensor, told: Tensor) -> Tensor:
        """The token (B, 1, 1024), after it was told (B, heads, 1, C)."""
        token = token + self.to_out(told.transpose(1, 2).flatten(2))
        return token + self.fc2(F.gelu(self.fc1(self.norm(token))))


def _lower(layer: nn.Linear, values: Tensor) -> Tensor:
    """What `layer` makes of float32 `values` in its own precision."""
    return layer(values.to(layer.weight.dtype))


def _split(query: Tensor) -> Tensor:
    return query.reshape(-1, 1, DECODER_HEADS, DECODER_HEAD_WIDTH).transpose(1, 2)


def _first_query(decoder: Decoder, itself: PreNorm, context: PreNorm) -> tuple[Tensor, Tensor]:
    """The first layer's token (1, 1, 1024) behind its self-attention, and its query, in float64."""
    token = decoder.to_token_embedding.bias.double() + decoder.pos_embedding.double()
    token = token + _in_float64(itself, token)
    asks: Any = context.fn
    return token, _split(_in_float64(asks.to_q, _in_float64(context.norm, token)))


def _in_float64(module: nn.Module, token: Tensor) -> Tensor:
    weights = {name: weight.double() for name, weight in module.named_parameters()}
    return functional_call(module, weights, token)


def _read_out(head: Head) -> nn.Linear:
    """All read-outs as one layer, in the order of LAYOUT, the mean person in its bias."""
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
