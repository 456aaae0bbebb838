# SPDX-License-Identifier: Apache-2.0
"""PEAR's graphs in 8 bits against the network in fp32, without a GPU.

    pip install nvidia-modelopt huggingface-hub
    python -m benchmarks.quantised_graphs [small ViT-S ViT-B]

PEAR's network with synthetic weights, by the recipe of the parity tests, is exported in fp16. Its
linear layers are calibrated by NVIDIA's ModelOpt and put in 8 bits, fp8 (E4M3) and int8 with static
scales (SmoothQuant), as `pear export-graph` does. Each graph is run by onnxruntime on the CPU,
which rounds to 8 bits as TensorRT does and computes the rest in fp32, and an engine of it is built
by TensorRT-RTX for desktop GPUs, which shows that NVIDIA's parser and builder accept it.

Errors are over the eight bundled crops, by the bounds of the accuracy check: angles between
rotations, on average (at most 1 degree) and the largest (at most 10), and positions at 3 m (at most
30 mm). The mirrored crops calibrate. Errors with synthetic weights are not those of the released
ones, of which the check decides. Time on a GPU is not measured. Writes
benchmarks/results/quantised_graphs.md.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.engine_build import MAX_PEOPLE, WORKSPACE
from benchmarks.engine_build import SIZES as FULL_SIZES
from benchmarks.report import write_report
from pear_ros.core.configuration import CALIBRATED_PRECISIONS
from pear_ros.pear.calibration import calibrate
from pear_ros.pear.checkpoint import build_network
from pear_ros.pear.export import export_graph
from pear_ros.pear.graph import Graph, data_file, graph_name
from pear_ros.pear.network import PearNetwork
from pear_ros.pear.quantised_graph import outputs, write_quantised
from pear_ros.pear.runtimes.accuracy import judge
from pear_ros.pear.runtimes.reference_crops import bundled_crops
from testing.parity import recipe
from tools.rtx import rtx_as_tensorrt

SIZES = {"small": (2, 64, 4), "ViT-S": FULL_SIZES["ViT-S"], "ViT-B": FULL_SIZES["ViT-B"]}
"""Depth, width and heads; small is the network of the tests."""


def network_of(size: str) -> PearNetwork:
    """The network with synthetic weights."""
    depth, width, heads = SIZES[size]
    layout = recipe.network_layout(
        **{**recipe.CONFIG_SMALL, "depth": depth, "dim": width, "heads": heads}
    )
    state = recipe.fill_state_dict(layout, seed=5)
    return build_network({key: torch.from_numpy(value) for key, value in state.items()}, heads)


def row(size: str, precision: str, path: Path, graph: Graph) -> list[str]:
    """Errors of the .onnx file `path` and bytes of its weights and its engine."""
    from pear_ros.pear.runtimes.engine import BuildSettings, build_plan

    vectors = outputs(path)
    verdict = judge(vectors, graph.reference, None)
    off = np.linalg.norm(vectors - graph.reference) / np.linalg.norm(graph.reference)
    plan = build_plan(path, BuildSettings(MAX_PEOPLE, WORKSPACE), lambda _: None).plan
    return [
        *(size, precision, f"{100.0 * off:.2f}"),
        *(f"{verdict.mean_rotation_deg:.2f}", f"{verdict.max_rotation_deg:.1f}"),
        *(f"{verdict.max_place_mm:.1f}", "yes" if verdict.passed else "no"),
        *(f"{data_file(path).stat().st_size / 1e6:.0f}", f"{len(plan) / 1e6:.0f}"),
    ]


def measure(size: str) -> list[list[str]]:
    """Rows of the table: fp16 and each calibrated precision."""
    network = network_of(size)
    mirrored = bundled_crops()[:, :, ::-1]
    with tempfile.TemporaryDirectory() as folder:
        graph = export_graph(network, "fp16", Path(folder))
        rows = [row(size, "fp16", graph.path, graph)]
        for precision in CALIBRATED_PRECISIONS:
            path = Path(folder) / graph_name(graph.weights, precision)
            write_quantised(graph, calibrate(network, precision, mirrored), precision, path)
            rows.append(row(size, precision, path, graph))
    return rows


def main(sizes: list[str]) -> None:
    """Measure, and write the report after each size."""
    sys.modules["tensorrt"] = rtx_as_tensorrt()
    head = [
        *("backbone", "precision", "outputs off, % RMS", "mean, degrees", "max, degrees"),
        *("position, mm", "passes", "weights MB", "engine MB"),
    ]
    rows = []
    for size in sizes or SIZES:
        rows += measure(size)
        tables = {"Errors against fp32, and sizes": (head, rows)}
        write_report("quantised_graphs", __doc__ or "", tables)


if __name__ == "__main__":
    main(sys.argv[1:])
