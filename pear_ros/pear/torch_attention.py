# SPDX-License-Identifier: Apache-2.0
"""Choice of the kernel of torch's attention by measurement, instead of torch's own rules.

Those change from version to version: torch 2.11 with a cuDNN newer than 9.15 takes cuDNN's on
Hopper, which was wrong for some lengths. Not yet run on a GPU, only on a stand-in for one.
"""

# mypy: disable-error-code="no-untyped-call"
# (torch has calls without types)

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from pear_ros.core.log import get_logger
from pear_ros.pear.deployed_layers import attention, fused_attention
from pear_ros.pear.torch_graphs import TorchGraphs

_NAMES = ("FLASH_ATTENTION", "EFFICIENT_ATTENTION", "CUDNN_ATTENTION", "MATH")
_LAYERS = 32
"""Attentions in one measurement, as many as ViT-H has: a single one is too short to be timed."""
_RUNS = 10
_ROUNDING_ERRORS = 16
"""Greatest accepted error, in units of the precision's rounding error. Random inputs gave at most
4 on the CPU; a kernel that leaves tokens out is off by hundreds."""

_LEAST_TOLERANCE = 1e-5

logger = get_logger(__name__)


@dataclass(frozen=True)
class Measured:
    """A kernel of attention that runs on this GPU."""

    backend: SDPBackend
    """The kernel."""
    seconds: float
    """Time of _LAYERS attentions."""
    error: float
    """Largest difference from attention in fp32."""


def fastest_attention(
    heads: int, tokens: int, width: int, dtype: torch.dtype, device: torch.device
) -> SDPBackend:
    """Return the fastest accurate kernel for one person's self-attention, and log it.

    `heads`, `tokens`, `width`: H, N and D of Q, K and V (1, H, N, D), of `dtype`; Q is scaled.

    Raises torch's RuntimeError where the GPU fails, for example for lack of memory.
    """
    values = np.random.default_rng(0).normal(size=(3, 1, heads, tokens, width))
    q, k, v = torch.from_numpy(values.astype(np.float32))
    q, k, v = (q / width**0.5).to(dtype), k.to(dtype), v.to(dtype)
    found = []
    for backend in (getattr(SDPBackend, name) for name in _NAMES if hasattr(SDPBackend, name)):
        try:
            found.append(_measure(backend, q, k, v, device))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            # Such as for this GPU, precision or size. Without the last, MATH, nothing runs.
            if backend is SDPBackend.MATH and not found:
                raise
            logger.debug("Attention by %s: %s", backend.name, error)
    tolerance = max(_ROUNDING_ERRORS * torch.finfo(dtype).eps, _LEAST_TOLERANCE)
    chosen = accurate_and_fastest(found, tolerance)
    times = ", ".join(f"{one.backend.name} {1e6 * one.seconds / _LAYERS:.1f} us" for one in found)
    logger.info("Attention is computed by %s (%s)", chosen.name, times)
    return chosen


def accurate_and_fastest(found: Iterable[Measured], tolerance: float) -> SDPBackend:
    """Return the fastest of the kernels `found` whose error is at most `tolerance`.

    Where there is none, MATH, which computes attention step by step.
    """
    accurate = []
    for one in found:
        if one.error <= tolerance:
            accurate.append(one)
        else:
            logger.warning("Attention by %s is wrong by %.2g", one.backend.name, one.error)
    fastest = min(accurate, key=lambda one: one.seconds, default=None)
    return fastest.backend if fastest else SDPBackend.MATH


def _measure(
    backend: SDPBackend, q: Tensor, k: Tensor, v: Tensor, device: torch.device
) -> Measured:
    keys, values = k.to(device), v.to(device)

    def compute(rows: Tensor) -> Tensor:
        queries = rows.reshape(q.shape).to(q.dtype)
        with sdpa_kernel(backend):
            attended = fused_attention(queries, keys, values)
            for _ in range(_LAYERS - 1):
                fused_attention(queries, keys, values)
        return attended.float().flatten(1)

    row = q.float().reshape(1, -1)
    graphs = TorchGraphs(compute, torch.zeros_like(row, device=device))
    try:
        result = graphs.run(row.numpy())
        seconds = []
        for _ in range(_RUNS):
            start = time.perf_counter()
            graphs.run(row.numpy())
            seconds.append(time.perf_counter() - start)
    finally:
        graphs.close()
    expected = attention(q.float(), k.float(), v.float())
    error = (torch.from_numpy(result) - expected.flatten(1)).abs().max()
    return Measured(backend, min(seconds), float(error.nan_to_num(nan=torch.inf)))
