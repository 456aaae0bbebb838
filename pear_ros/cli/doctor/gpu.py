# SPDX-License-Identifier: Apache-2.0
"""Checks of the machine, its GPU, and the libraries that use the GPU."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator, Sequence
from typing import Any

from pear_ros.cli.doctor.findings import Finding, fail, ok, warn
from pear_ros.cli.doctor.probe_process import Probe
from pear_ros.io import jetpacks
from pear_ros.io.machine import Machine, has_nvidia, load, this_machine


def check_machine(machine: Machine | None = None, now: float | None = None) -> Iterator[Finding]:
    """Check processor, system and load; on a Jetson its software, too."""
    machine = machine or this_machine()
    yield ok("machine.system", str(machine), cores=machine.cores, memory=machine.memory)
    busy = load() if now is None else now
    text = f"load average {busy:.1f} over the last minute on {machine.cores} cores"
    if busy > machine.cores:
        yield warn("machine.load", text, "stop other programs, or expect less speed", load=busy)
    else:
        yield ok("machine.load", text, load=busy)
    if (jetson := machine.jetson) is None:
        return
    details = {"model": jetson.model, "l4t": jetson.l4t, "power_mode": jetson.power_mode}
    if jetson.jetpack and int(jetson.jetpack) < jetpacks.OLDEST:
        advice = "install JetPack 6 or newer: older ones have Python 3.8 and TensorRT 8"
        yield fail("machine.jetson", str(jetson), advice, **details)
    else:
        yield ok("machine.jetson", str(jetson), **details)


def check_gpu(probe: Probe, built_in: bool | None = None) -> Iterator[Finding]:
    """Check GPU, driver, CUDA's runtime, torch and TensorRT.

    `built_in`: whether the machine has an NVIDIA GPU; detected unless given.
    """
    gpu = probe("gpu")
    if reason := gpu.get("error") or gpu.get("missing"):
        if built_in is None:
            built_in = has_nvidia()
        if built_in:
            text = f"there is an NVIDIA GPU, but it cannot be used: {reason}"
            yield warn("gpu.device", text, "PEAR's network runs on the processor until then")
        else:
            yield ok("gpu.device", "no NVIDIA GPU: PEAR's network runs on the processor", name=None)
        return
    free = f", {gpu['memory_free'] / 1e9:.1f} free" if "memory_free" in gpu else ""
    text = (
        f"{gpu['name']}, compute capability {gpu['compute_capability']}, "
        f"{gpu['memory'] / 1e9:.1f} GB{free}, driver {gpu['driver'] or 'unknown'}"
    )
    yield ok("gpu.device", text, **gpu)
    if reason := gpu.get("no_runtime"):
        advice = "TensorRT needs it; PEAR runs by torch, or on the processor, until then"
        yield warn("gpu.cuda", str(reason), advice)
    else:
        text = f"runtime {gpu['cuda_runtime']}, driver made for {gpu['cuda_of_driver']}"
        yield ok("gpu.cuda", text)
    yield from check_torch(probe, gpu)
    yield from check_tensorrt(probe, gpu)


def check_torch(probe: Probe, gpu: dict[str, Any]) -> Iterator[Finding]:
    """Check that torch can use the GPU."""
    torch = _installed(probe, "torch")
    if torch is None:
        return
    if not torch["cuda"]:
        text = f"torch {torch['version']} is built without CUDA, beside an NVIDIA GPU"
        yield warn("gpu.torch", text, _torch_advice(gpu))
    elif not torch["usable"]:
        text = f"torch {torch['version']} for CUDA {torch['cuda']} cannot use the GPU"
        driver = gpu.get("cuda_of_driver", "unknown")
        advice = f"the driver supports CUDA {driver}: update it, or {_torch_advice(gpu)}"
        yield warn("gpu.torch", text, advice)
    elif not runs_on(torch["architectures"], gpu["compute_capability"]):
        text = (
            f"torch {torch['version']} is built for {', '.join(torch['architectures'])}, not for "
            f"compute capability {gpu['compute_capability']}"
        )
        yield warn("gpu.torch", text, _torch_advice(gpu))
    else:
        yield ok("gpu.torch", f"torch {torch['version']} uses the GPU")


def check_tensorrt(probe: Probe, gpu: dict[str, Any]) -> Iterator[Finding]:
    """Check that TensorRT can use the GPU."""
    tensorrt = _installed(probe, "tensorrt")
    if tensorrt is None or "unsupported" in tensorrt:
        return
    version = tensorrt["version"]
    capability = gpu["compute_capability"]
    if not jetpacks.runs_on(version, capability):
        text = f"TensorRT {version} was built without compute capability {capability}"
        yield fail("gpu.tensorrt", text, "install another version of TensorRT, 10.3 to 11")
        return
    started = probe("tensorrt_builder")
    if reason := started.get("error"):
        text = f"TensorRT {version} does not start: {reason}"
        advice = "its CUDA must not be newer than the driver's: update it, or use an older TensorRT"
        yield fail("gpu.tensorrt", text, advice)
    else:
        yield ok("gpu.tensorrt", f"TensorRT {version} starts")


def runs_on(architectures: Sequence[str], capability: str) -> bool:
    """Return whether code for `architectures`, such as sm_86 and compute_90, runs on a GPU.

    Binaries (sm) run on GPUs of the same major and at least the same minor compute capability, PTX
    code (compute) on all later ones.
    """
    own = tuple(map(int, capability.split(".")))
    for architecture in architectures:
        found = re.match(r"(sm|compute)_(\d+)(\d)", architecture)
        if not found:
            continue
        built = int(found[2]), int(found[3])
        if built <= own and (found[1] == "compute" or built[0] == own[0]):
            return True
    return False


def _installed(probe: Probe, name: str) -> dict[str, Any] | None:
    """Return details of a library; None where it is missing or broken, which a check reports."""
    if importlib.util.find_spec(name) is None:
        return None
    answer = probe("library", name)
    return None if "error" in answer else answer


def _torch_advice(gpu: dict[str, Any]) -> str:
    if gpu["integrated"]:
        return "install NVIDIA's own build of torch for this JetPack, or use TensorRT without torch"
    return "install a build of torch with CUDA for this GPU, or use TensorRT"
