# SPDX-License-Identifier: Apache-2.0
"""PEAR's network against an equal vision transformer made of torch's own layers, on the CPU.

    python -m benchmarks.network

Both have the same weights and infer the same images, 256 x 192 pixels, alternating in the same run.
The equal one is torch's patch convolution and `nn.TransformerEncoder`: once with torch's default
(its fused inference path, where it has one), once with that path switched off. The difference is
the largest of any number of the two backbones. `whole` is PEAR's network with its head. Torch uses
all cores. Writes benchmarks/results/network.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.report import write_report
from pear_ros.pear.backbone import MARGIN, MLP_RATIO, Backbone
from pear_ros.pear.network import PearNetwork

SIZES = {"ViT-S": (12, 384, 6), "ViT-B": (12, 768, 12), "ViT-H, as released": (32, 1280, 16)}
"""Depth, width and heads."""
CASES = (
    *(("ViT-S", 1), ("ViT-S", 4), ("ViT-B", 1), ("ViT-B", 4)),
    ("ViT-H, as released", 1),
)
"""Size, and pictures in a batch."""
ROUNDS = 11


class TorchViT(nn.Module):
    """The backbone out of torch's own layers, with the weights of ours."""

    def __init__(self, ours: Backbone, heads: int) -> None:
        super().__init__()
        width = ours.pos_embed.shape[2]
        with torch.device("meta"):
            layer = nn.TransformerEncoderLayer(
                *(width, heads, MLP_RATIO * width, 0.0, "gelu"),
                layer_norm_eps=1e-6,
                batch_first=True,
                norm_first=True,
            )
            norm = nn.LayerNorm(width, eps=1e-6)
            self.encoder = nn.TransformerEncoder(
                layer, len(ours.blocks), norm, enable_nested_tensor=False
            )
        self.embed = ours.patch_embed.proj
        self.position = ours.pos_embed[:, 1:] + ours.pos_embed[:, :1]
        self.encoder.load_state_dict(_torch_names(ours.state_dict()), assign=True)

    def forward(self, normalised: Tensor) -> Tensor:
        """(B, 192, width) of normalised pictures (B, 3, 256, 192)."""
        tokens = self.embed(normalised).flatten(2).transpose(1, 2).contiguous()
        found: Tensor = self.encoder(tokens + self.position)
        return found


def _torch_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    names = {
        "blocks.": "layers.",
        "last_norm": "norm",
        "attn.qkv.": "self_attn.in_proj_",
        "attn.proj": "self_attn.out_proj",
        "mlp.fc": "linear",
    }
    renamed = {}
    for key, value in state.items():
        if key.startswith(("blocks", "last_norm")):
            for ours, theirs in names.items():
                key = key.replace(ours, theirs)
            renamed[key] = value
    return renamed


def medians(*calls: Callable[[], Tensor]) -> list[float]:
    """Median milliseconds of each call; they take turns, and the first turn does not count."""
    times: list[list[float]] = [[] for _ in calls]
    for turn in range(ROUNDS + 1):
        for call, taken in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            if turn > 0:
                taken.append(1000 * (time.perf_counter() - start))
    return [float(np.median(taken)) for taken in times]


def without_fast_path(call: Callable[[], Tensor]) -> Tensor:
    """Call with torch's fused encoder layers switched off."""
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        return call()
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


@torch.inference_mode()
def measure(name: str, pictures: int) -> list[str]:
    """A row of the table."""
    depth, width, heads = SIZES[name]
    torch.manual_seed(0)
    network = PearNetwork(depth, width, heads).eval()
    nn.init.normal_(network.backbone.pos_embed, std=0.02)
    theirs = TorchViT(network.backbone, heads).eval()
    images = torch.rand(pictures, 3, 256, 256)
    embed = network.backbone.patch_embed
    normalised = (images[..., MARGIN:-MARGIN] - embed.mean.float()) / embed.std.float()

    def equal() -> Tensor:
        found: Tensor = theirs(normalised)
        return found

    difference = float((network.backbone(images) - equal()).abs().max())
    ours, whole, fused, plain = medians(
        lambda: network.backbone(images),
        lambda: network(images),
        equal,
        lambda: without_fast_path(equal),
    )
    return [
        *(name, str(pictures), f"{fused:.0f}", f"{plain:.0f}", f"{ours:.0f}"),
        *(f"{ours / min(fused, plain):.2f}", f"{whole:.0f}", f"{difference:.1e}"),
    ]


def main() -> None:
    """Measure and write the report."""
    rows = [measure(*case) for case in CASES]
    head = [
        *("backbone", "pictures", "torch ms", "torch unfused ms", "ours ms"),
        *("ours / the faster", "whole ms", "largest difference"),
    ]
    write_report("network", __doc__ or "", {"Milliseconds for a batch of pictures": (head, rows)})


if __name__ == "__main__":
    main()
