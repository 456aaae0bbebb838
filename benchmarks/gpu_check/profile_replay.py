# SPDX-License-Identifier: Apache-2.0
"""Where the time of one person's image goes: kernels of one replay, by torch's profiler."""

from __future__ import annotations

import time

import numpy as np
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu_check.findings import Findings
from benchmarks.gpu_check.torch_device import torch_device
from benchmarks.gpu_measure import boxes, network, torch_runtime
from pear_ros.pear.crop import squares
from testing.parity import recipe

_KERNELS = 20
"""Kernels that are listed, those that take longest first."""
_NAME_LENGTH = 90


def run(findings: Findings, smoke: bool) -> None:
    """Profile ViT-H in fp16; with `smoke` a small network in fp32, whose operators are listed."""
    precision = "fp32" if smoke else "fp16"
    replays = 1 if smoke else 10
    with torch_device(smoke) as device:
        weights = network(recipe.CONFIG_SMALL if smoke else recipe.CONFIG_VITH)
        runtime = torch_runtime(weights, precision, device, 1)
        image = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
        places = squares(boxes(1), 1920, 1080)
        for _ in range(1 if smoke else 20):
            runtime.infer(image, places)
        start = time.perf_counter()
        for _ in range(replays):
            runtime.infer(image, places)
        whole = 1000.0 * (time.perf_counter() - start) / replays
        on_gpu = device.type == "cuda"
        activity = ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU
        with profile(activities=[activity]) as profiler:
            for _ in range(replays):
                runtime.infer(image, places)
        runtime.close()
    found = [
        (event.self_device_time_total if on_gpu else event.self_cpu_time_total, event)
        for event in profiler.key_averages()
    ]
    found = sorted((pair for pair in found if pair[0]), key=lambda pair: -pair[0])
    count = sum(event.count for _, event in found) / replays
    busy = sum(taken for taken, _ in found) / replays
    findings.note("image to vector, one person", f"{whole:.3f} ms on the host's clock")
    findings.check(
        "kernels and copies of one replay", count > 0, f"{count:.0f}, {busy / 1e3:.3f} ms"
    )
    for taken, event in found[:_KERNELS]:
        each = f"{event.count / replays:.0f} times, {taken / replays:.0f} us in all"
        findings.note(event.key[:_NAME_LENGTH], each)
