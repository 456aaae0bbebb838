# SPDX-License-Identifier: Apache-2.0
"""Building TensorRT engines of PEAR's network at full size, without a GPU.

    python -m benchmarks.engine_build [size ...]

PEAR's network with synthetic weights is exported as an ONNX graph, and an engine of it is built for
up to eight people, as on a robot, but by TensorRT-RTX: it has NVIDIA's parser and a builder for
desktop GPUs, and needs none here. The result shows that TensorRT accepts the graph, but not how
fast and how accurate its engine is. TensorRT itself takes longer, as it measures on the GPU. Each
step is a process of its own; memory is its largest resident size. Other load of the machine is
possible: take seconds as upper bounds. The largest size, ViT-H, is that of the release. Writes
benchmarks/results/engine_build.md.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tqdm import tqdm

from benchmarks.report import write_report

SIZES = {"ViT-S": (12, 384, 6), "ViT-B": (12, 768, 12), "ViT-H": (32, 1280, 16)}
"""Depth, width and heads."""
CASES = (
    ("ViT-S", "fp16"),
    *(("ViT-B", "fp16"), ("ViT-B", "bf16"), ("ViT-B", "fp32")),
    ("ViT-H", "fp16"),
)
MAX_PEOPLE = 8
WORKSPACE = 1 << 30


def export(size: str, precision: str, folder: str) -> dict[str, float]:
    """Write the graph to `folder`; bytes of its weights."""
    import torch

    from pear_ros.pear.export import StageBars, export_graph
    from pear_ros.pear.graph import data_file
    from pear_ros.pear.network import PearNetwork

    torch.manual_seed(0)
    network = PearNetwork(*SIZES[size]).eval()
    network.fingerprint = 16 * "0"
    with StageBars() as progress:
        graph = export_graph(network, precision, Path(folder), progress)
    return {"bytes": data_file(graph.path).stat().st_size}


def build(folder: str) -> dict[str, float]:
    """Build the engine of the graph in `folder`; its bytes."""
    from pear_ros.pear.graph import find_graphs
    from tools.rtx import rtx_as_tensorrt

    sys.modules["tensorrt"] = rtx_as_tensorrt()
    from pear_ros.pear.runtimes.build_progress import BuildProgress
    from pear_ros.pear.runtimes.engine import BuildSettings, build_plan

    [graph] = find_graphs(Path(folder))
    with tqdm(total=1.0, bar_format="{desc:40.40} {percentage:3.0f} % {elapsed}") as bar:

        def progress(now: BuildProgress) -> None:
            bar.set_description_str(now.phase)
            bar.update(now.done - bar.n)

        built = build_plan(graph, BuildSettings(MAX_PEOPLE, WORKSPACE), progress)
    return {"bytes": len(built.plan)}


STEPS: dict[str, Callable[..., dict[str, float]]] = {"export": export, "build": build}


def measured(step: str, *arguments: str) -> dict[str, float]:
    """What a step returns, and its seconds and bytes of memory, in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", __spec__.name, "--step", step, *arguments]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


def run_step(step: str, *arguments: str) -> None:
    """Do it here and print what `measured` returns."""
    start = time.perf_counter()
    found = STEPS[step](*arguments)
    found["seconds"] = time.perf_counter() - start
    found["memory"] = 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(found))


def measure(size: str, precision: str) -> list[str]:
    """A row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        exported, built = measured("export", size, precision, folder), measured("build", folder)
    row = [size, precision]
    for step in (exported, built):
        row.append(f"{step['seconds']:.0f}")
        row += [f"{step[name] / 1e9:.2f}" for name in ("memory", "bytes")]
    return row


def main(sizes: list[str]) -> None:
    """Measure and write the report."""
    rows = [measure(size, precision) for size, precision in CASES if size in (sizes or SIZES)]
    head = [
        *("backbone", "precision", "export s", "export GB memory", "weights GB"),
        *("build s", "build GB memory", "engine GB"),
    ]
    write_report("engine_build", __doc__ or "", {"Export, and build by TensorRT-RTX": (head, rows)})


if __name__ == "__main__":
    if sys.argv[1:2] == ["--step"]:
        run_step(*sys.argv[2:])
    else:
        main(sys.argv[1:])
