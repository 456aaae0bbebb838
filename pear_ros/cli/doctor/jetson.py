# SPDX-License-Identifier: Apache-2.0
"""Checks of a Jetson, `pear doctor --jetson`: all that a report of speed or a failure needs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pear_ros.cli.doctor.findings import Finding, fail, ok, warn
from pear_ros.cli.doctor.probe_process import Probe
from pear_ros.core.configuration import BUILD_MEMORY_FACTOR
from pear_ros.io import jetpacks
from pear_ros.io.jetson import (
    Jetson,
    PowerMode,
    find_jetson,
    gpu_clocks,
    power_mode,
    power_modes,
    shared_memory,
)
from pear_ros.io.system_files import ROOT
from pear_ros.io.tegrastats import Sample, gigabytes

_LARGEST_GRAPH = 1.38e9
"""Bytes of ViT-H's graph in fp16 (benchmarks/results/engine_build.md)."""
_BUILD = "pear build-engine"


def check_jetson(probe: Probe, peaks: Path, root: Path = ROOT) -> Iterator[Finding]:
    """Check board, power, clocks, memory, TensorRT, engines and the last build.

    `peaks`: the file that `pear build-engine` writes; `root`: the folder with /proc and /sys.
    """
    jetson = find_jetson(root)
    if jetson is None:
        text = "this is not a Jetson, as far as /proc and /etc/nv_tegra_release say"
        advice = "run it on the board; in a container, mount /etc/nv_tegra_release"
        yield warn("jetson.board", text, advice)
        return
    yield _board(jetson)
    yield _power(power_mode(root), power_modes(root))
    yield from _clocks(root)
    yield _memory(root)
    yield _tensorrt(jetson, probe)
    yield from _attention(probe)
    yield last_build(peaks)


def _board(jetson: Jetson) -> Finding:
    details = {"model": jetson.model, "l4t": jetson.l4t, "jetpack": jetson.jetpack}
    if not jetson.l4t:
        advice = "if this is a container, mount /etc/nv_tegra_release"
        return warn("jetson.board", f"{jetson.model}: L4T unknown", advice, **details)
    if not jetson.jetpack:
        known = ", ".join(sorted({str(jetpack.l4t) for jetpack in jetpacks.JETPACKS}))
        text = f"{jetson.model}: L4T {jetson.l4t} is not one of {known}"
        return warn("jetson.board", text, "report whether it works", **details)
    return ok("jetson.board", str(jetson), **details)


def _power(number: int | None, modes: Sequence[PowerMode]) -> Finding:
    names = [f"{mode.number} {mode.name}" for mode in modes]
    details: dict[str, Any] = {"mode": number, "modes": names}
    if number is None:
        advice = "sudo nvpmodel -q prints it; add that to your report"
        return warn("jetson.power", "the power mode is unknown", advice, **details)
    mode = next((mode for mode in modes if mode.number == number), None)
    if mode is None:
        text = f"mode {number}, which /etc/nvpmodel.conf does not describe"
        return warn("jetson.power", text, "sudo nvpmodel -q prints its name", **details)
    details["name"] = mode.name
    fastest = max(modes, key=lambda mode: 0.0 if math.isnan(mode.gpu_limit) else mode.gpu_limit)
    if mode.gpu_limit < fastest.gpu_limit:
        text = f"mode {number} {mode.name}, GPU up to {mode.gpu_limit / 1e6:.0f} MHz"
        advice = f"sudo nvpmodel -m {fastest.number} selects {fastest.name}, which is faster"
        return warn("jetson.power", text, advice, **details)
    limit = ", GPU's limit unknown" if math.isnan(mode.gpu_limit) else ""
    return ok("jetson.power", f"mode {number} {mode.name}{limit}", **details)


def _clocks(root: Path) -> Iterator[Finding]:
    clocks = gpu_clocks(root)
    if not clocks:
        text = "no clock of the GPU in /sys/class/devfreq"
        yield warn("jetson.clocks", text, "sudo jetson_clocks --show prints it")
        return
    parts = [
        f"{clock.name} {_megahertz(clock.now)} of {_megahertz(clock.highest)} MHz"
        + (", fixed" if clock.fixed else "")
        for clock in clocks
    ]
    details = {"clocks": [asdict(clock) for clock in clocks]}
    if all(clock.fixed for clock in clocks):
        yield ok("jetson.clocks", "; ".join(parts), **details)
    else:
        advice = "sudo jetson_clocks fixes them, until the next start: do so before you measure"
        yield warn("jetson.clocks", "; ".join(parts), advice, **details)


def _memory(root: Path) -> Finding:
    memory = shared_memory(root)
    details = asdict(memory)
    if memory.total is None or memory.available is None:
        return warn("jetson.memory", "unknown", "free -m prints it", **details)
    text = (
        f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB available, buffers of the "
        f"GPU {gigabytes(memory.gpu)}, swap {gigabytes(memory.swap_free)} free of "
        f"{gigabytes(memory.swap)}"
    )
    if memory.available < BUILD_MEMORY_FACTOR * _LARGEST_GRAPH:
        advice = "end other programs, above all the desktop, and add swap before an engine is built"
        return warn("jetson.memory", text, advice, **details)
    return ok("jetson.memory", text, **details)


def _tensorrt(jetson: Jetson, probe: Probe) -> Finding:
    library, gpu = probe("library", "tensorrt"), probe("gpu")
    own = jetpacks.own_tensorrt(jetson.l4t)
    named = f"JetPack's is {' or '.join(own)}" if own else "JetPack's is unknown"
    version = library.get("version") or ""
    details = {"version": version, "of_jetpack": own}
    if reason := library.get("error") or library.get("unsupported"):
        advice = f"sudo apt install nvidia-jetpack; {named}"
        return fail("jetson.tensorrt", str(reason), advice, **details)
    capability = gpu.get("compute_capability", "")
    if not jetpacks.tensorrt_runs_on(version, capability):
        text = f"{version} was built without compute capability {capability}"
        return fail("jetson.tensorrt", text, named, **details)
    if any(f"{version}.".startswith(f"{release}.") for release in own):
        return ok("jetson.tensorrt", f"{version}, JetPack's own", **details)
    advice = "pip's TensorRT is not built for Jetsons: check where it comes from"
    return warn("jetson.tensorrt", f"{version}; {named}", advice, **details)


def _attention(probe: Probe) -> Iterator[Finding]:
    """Yield how much attention is one kernel in each cached engine."""
    found = probe("engine_attention")
    if reason := found.get("error"):
        advice = "the checks of TensorRT and of the engines say why"
        yield warn("jetson.attention", f"engines cannot be inspected: {reason}", advice)
        return
    if not found["engines"]:
        yield warn("jetson.attention", "there is no engine to inspect yet", _BUILD)
        return
    for engine in found["engines"]:
        id = f"jetson.attention_{engine['name'].removeprefix('engine_')}"
        if reason := engine.get("error"):
            yield warn(id, f"{engine['precision']}: {reason}", _BUILD, **engine)
            continue
        fused, precision = engine["fused"], engine["precision"]
        text = f"{precision}: {fused} of {engine['layers']} layers are fused attention"
        if fused or precision == "fp32":
            yield ok(id, text, **engine)
        else:
            yield warn(id, text, "attention is not fused, which costs speed: report it", **engine)


def last_build(peaks: Path) -> Finding:
    """Check what the last build of an engine took, by the file `peaks`."""
    try:
        most = json.loads(peaks.read_text())
        text = f"at most {Sample(**most)}"
    except FileNotFoundError:
        text = "no engine was built here with tegrastats in PATH"
        return warn("jetson.build", text, f"{_BUILD} records memory, temperature and power")
    except (OSError, ValueError, TypeError) as error:
        text = f"{peaks} cannot be read: {type(error).__name__}"
        return warn("jetson.build", text, f"{_BUILD} writes it again")
    return ok("jetson.build", text, **most)


def _megahertz(hertz: int | None) -> str:
    return "?" if hertz is None else f"{hertz / 1e6:.0f}"
