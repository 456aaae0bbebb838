# SPDX-License-Identifier: Apache-2.0
"""Attention and matrix products of ViT-H by each of torch's ways: which is fast, which is exact."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.gpu_check.findings import Findings
from benchmarks.gpu_check.torch_device import torch_device
from pear_ros.pear.backbone import TOKENS

_PEOPLE = (1, 5, 8)
_HEADS, _DIM = 16, 80
_WIDTH = _HEADS * _DIM
_BACKENDS = ("MATH", "EFFICIENT_ATTENTION", "FLASH_ATTENTION", "CUDNN_ATTENTION")
_PRODUCTS = {"qkv": (1, 3), "proj": (1, 1), "fc1": (1, 4), "fc2": (4, 1)}
"""Inputs and outputs of the four linear layers of a block, in widths of the network."""
_MOST = 5e-3
"""Largest error of attention in fp16; its results are below 1."""


def run(findings: Findings, smoke: bool) -> None:
    """Time on a GPU; with `smoke` a small case on the CPU, where fewer ways exist."""
    with torch_device(smoke) as device, torch.inference_mode():
        for people in (1,) if smoke else _PEOPLE:
            with findings.trying(f"attention of {people}"):
                _attention(findings, device, people)
            with findings.trying(f"matrix products of {people}"):
                _products(findings, device, people)


def _attention(findings: Findings, device: torch.device, people: int) -> None:
    shape = (people, _HEADS, TOKENS, _DIM)
    torch.manual_seed(0)
    parts = [torch.randn(shape, device=device) for _ in range(3)]
    q, k, v = parts
    exact = torch.softmax(q.double() @ k.double().mT / _DIM**0.5, dim=-1) @ v.double()
    q, k, v = (part.half() for part in parts)
    what = f"attention of {people} in fp16"

    def attend() -> Tensor:
        return F.scaled_dot_product_attention(q, k, v)

    off = float((attend().double() - exact).abs().max())
    measured = f"{_milliseconds(attend, device):.4f} ms, error {off:.1e}"
    findings.check(f"{what}, torch's choice", off < _MOST, measured)
    for name in _BACKENDS:
        backend = getattr(SDPBackend, name, None)
        if backend is None:
            findings.note(f"{what}, {name}", "torch has none")
            continue
        with sdpa_kernel(backend):
            try:
                off = float((attend().double() - exact).abs().max())
                taken = _milliseconds(attend, device)
            except RuntimeError as error:
                findings.note(f"{what}, {name}", f"not here: {str(error).splitlines()[0]}")
                continue
        findings.check(f"{what}, {name}", off < _MOST, f"{taken:.4f} ms, error {off:.1e}")


def _products(findings: Findings, device: torch.device, people: int) -> None:
    """Time the linear layers with sums in fp16 allowed, and not."""
    matmul: Any = torch.backends.cuda.matmul
    before = matmul.allow_fp16_reduced_precision_reduction
    rows = people * TOKENS
    for name, (inputs, outputs) in _PRODUCTS.items():
        torch.manual_seed(0)
        x = torch.randn((rows, inputs * _WIDTH), device=device)
        weight = torch.randn((outputs * _WIDTH, inputs * _WIDTH), device=device)
        weight /= (inputs * _WIDTH) ** 0.5
        half, halves = x.half(), weight.half()
        exact = half.float() @ halves.float().T
        told = []
        for reduced in (True, False):
            matmul.allow_fp16_reduced_precision_reduction = reduced
            off = float(((half @ halves.T).float() - exact).abs().max())
            taken = _milliseconds(lambda: half @ halves.T, device)  # noqa: B023
            rate = 2e-9 * rows * inputs * outputs * _WIDTH**2 / taken
            sums = "fp16 allowed" if reduced else "fp32 alone"
            told.append(f"sums in {sums}: {taken:.4f} ms, {rate:.0f} TFLOP/s, error {off:.1e}")
        findings.note(f"{name} of {people} in fp16", "; ".join(told))
    matmul.allow_fp16_reduced_precision_reduction = before


def _milliseconds(call: Callable[[], object], device: torch.device) -> float:
    """Return the mean time of a call, many enqueued at once; one alone on the CPU."""
    on_gpu = device.type == "cuda"
    warm, times = (10, 100) if on_gpu else (0, 1)
    for _ in range(warm):
        call()
    _wait(on_gpu)
    start = time.perf_counter()
    for _ in range(times):
        call()
    _wait(on_gpu)
    return 1000.0 * (time.perf_counter() - start) / times


def _wait(on_gpu: bool) -> None:
    if on_gpu:
        torch.cuda.synchronize()
