# SPDX-License-Identifier: Apache-2.0
"""A GPU whose memory other programs have taken: PEAR must fall back, and return when it is free."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks.gpu_check.findings import Findings
from benchmarks.gpu_check.torch_device import torch_device
from benchmarks.gpu_measure import VITS, network, torch_runtime
from pear_ros.body.ehm import EhmBody
from pear_ros.core.configuration import RuntimeChoice
from pear_ros.core.people import Array
from pear_ros.pear.files import find_model_files, load_body_files
from pear_ros.pear.graph import Graph, GraphError
from pear_ros.pear.mesh import NumpyMesh, make_meshes
from pear_ros.pear.network import PearNetwork
from pear_ros.pear.runtimes import with_torch
from pear_ros.pear.runtimes.choose import choose_runtime
from pear_ros.pear.runtimes.cuda import DeviceBuffer
from pear_ros.pear.runtimes.cudart import CudaError
from pear_ros.pear.runtimes.reference_crops import infer_bundled
from pear_ros.pear.runtimes.runtime import RuntimeUnavailableError
from testing.parity import recipe

_PIECES = (1 << 30, 64 << 20, 2 << 20)
"""Sizes of the allocations that fill the GPU, bytes."""


def run(findings: Findings, smoke: bool) -> None:
    """Fill the GPU before PEAR starts, and after."""
    with torch_device(smoke) as device:
        weights: Any = _Weights(network(recipe.CONFIG_SMALL if smoke else VITS))
        with TemporaryDirectory() as folder:
            recipe.write_assets(Path(folder), 5)
            body = EhmBody(*load_body_files(find_model_files(Path(folder))))
        with _full(smoke):
            with findings.trying("full at the start: the network"):
                where, reason = _chosen(weights, body)
                on_cpu = where.startswith("CPU")
                findings.check("full at the start: PEAR runs on the CPU", on_cpu, where)
                findings.note("reasons that it gives", reason)
            with findings.trying("full at the start: meshes"):
                (mesh,) = make_meshes(body, 1, 1)
                on_cpu = isinstance(mesh, NumpyMesh)
                what = "full at the start: meshes on the CPU"
                findings.check(what, on_cpu, type(mesh).__name__)
                mesh.close()
        if smoke:
            return
        _free()
        with findings.trying("free again"):
            where, _ = _chosen(weights, body)
            on_gpu = not where.startswith("CPU")
            findings.check("free again: PEAR runs on the GPU", on_gpu, where)
        with findings.trying("full later"):
            _check_full_later(findings, weights.network(), device)


def _chosen(weights: Any, body: EhmBody) -> tuple[str, str]:
    """Return the device that PEAR chooses, and its reason."""
    chosen = choose_runtime(weights, body, RuntimeChoice())
    chosen.runtime.close()
    return chosen.runtime.info.device, chosen.reason


class _Weights:
    """What choose_runtime takes of pear_ros.pear.weights.Weights, without files."""

    def __init__(self, network: PearNetwork) -> None:
        self._network = network
        self.fingerprint = network.fingerprint

    def network(self) -> PearNetwork:
        return self._network

    def reference(self) -> Array:
        cpu = with_torch.TorchRuntime(self._network, "fp32", torch.device("cpu"), 1)
        return infer_bundled(cpu)

    def graph(self, precision: str, progress: object = None) -> Graph:
        raise GraphError(f"no {precision} graph is exported here")


@contextmanager
def _full(smoke: bool) -> Iterator[None]:
    """Take the GPU's memory; with `smoke`, let whatever needs it fail as torch does."""
    if smoke:
        import pytest

        def out_of_memory(*_: object) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory (stand-in)")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(with_torch, "_OnCuda", out_of_memory)
            patch.setattr("pear_ros.pear.cuda_mesh.body_on", out_of_memory)
            yield
        return
    taken: list[DeviceBuffer] = []
    for piece in _PIECES:
        try:
            while True:
                taken.append(DeviceBuffer(piece))
        except CudaError:
            pass
    try:
        yield
    finally:
        for buffer in taken:
            buffer.close()


def _free() -> None:
    """Give back what torch keeps."""
    gc.collect()
    torch.cuda.empty_cache()


def _check_full_later(findings: Findings, weights: PearNetwork, device: torch.device) -> None:
    """Fill the GPU under a runtime that then needs more."""
    runtime = torch_runtime(weights, "fp16", device, 8)
    with _full(False):
        try:
            runtime.warmup(8)
            findings.note("full later", "the runtime needed no more memory")
        except RuntimeUnavailableError as error:
            findings.check("full later: the runtime says so", True, str(error))
        except Exception as error:
            name = type(error).__name__
            findings.check("full later: the runtime says so", False, f"{name} escapes: {error}")
    runtime.close()
