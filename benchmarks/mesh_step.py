# SPDX-License-Identifier: Apache-2.0
"""EHM-s meshes without torch: NumPy and Numba, or an ONNX graph by onnxruntime, on the CPU.

    python -m benchmarks.mesh_step

Vertices of the same people from the same parameters, alternating in the same run. The body is
synthetic, in full size; the graph is exported by torch from pear_ros.body for each number of
people. `int8`: its matrices of blend shapes are quantised by onnxruntime, all else is float32. Both
use all cores. The difference is the largest from NumPy in float64. Writes
benchmarks/results/mesh_step.md.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from threadpoolctl import threadpool_limits

from benchmarks.body_model import medians
from benchmarks.gpu_measure import some_people
from benchmarks.report import write_report
from pear_ros.body.ehm import EhmBody
from pear_ros.body.ehm_parameters import EhmParameters
from pear_ros.body.kinematics import float32_array
from pear_ros.core.people import Array
from pear_ros.pear.cuda_mesh import ParameterRows
from pear_ros.pear.files import find_model_files, load_body_files
from pear_ros.pear.runtimes.cpu import thread_count
from testing.parity import recipe

_LARGE = 1_000_000


class Step(torch.nn.Module):
    """Rows of parameters -> vertices, as a module for export."""

    def __init__(self, body: EhmBody) -> None:
        super().__init__()
        self._body = body.on(lambda values: torch.from_numpy(float32_array(values)))
        self._rows = ParameterRows(body)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Return vertices (B, V, 3) of rows (B, W)."""
        vertices: torch.Tensor = self._body.vertices(self._rows.unpack(rows))
        return vertices


def export(step: Step, rows: Array, path: Path) -> Path:
    """Export the step for as many people as `rows`; return the file."""
    example = torch.from_numpy(rows)
    step(example)
    # Not optimised: torch's optimiser takes the small number that keeps angles of 0 from making
    # NaN for 0 itself. onnxruntime has an optimiser of its own.
    program = torch.onnx.export(
        *(step, (example,)), dynamo=True, opset_version=20, optimize=False, verbose=False
    )
    assert program is not None
    program.save(path)
    return path


def in_int8(path: Path) -> Path:
    """The graph with its large matrices quantised."""
    graph = onnx.load(path)
    del graph.graph.value_info[:]
    large = {
        t.name for t in graph.graph.initializer if len(t.dims) == 2 and np.prod(t.dims) > _LARGE
    }
    plain, quantised = (path.with_stem(f"{path.stem}_{name}") for name in ("plain", "int8"))
    onnx.save(graph, plain)
    quantize_dynamic(
        *(plain, quantised),
        weight_type=QuantType.QInt8,
        per_channel=True,
        nodes_to_quantize=[n.name for n in graph.graph.node if large & set(n.input)],
    )
    return quantised


def by_onnxruntime(path: Path, layout: ParameterRows) -> Callable[[EhmParameters], Array]:
    """Vertices of people."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = thread_count()
    session = onnxruntime.InferenceSession(path, options)
    name = session.get_inputs()[0].name

    def run(people: EhmParameters) -> Array:
        vertices: Array = session.run(None, {name: layout.pack(people)})[0]
        return vertices

    return run


def main() -> None:
    """Measure and write the report."""
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as name, threadpool_limits(1, "blas"):
        folder = Path(name)
        recipe.write_assets(folder, 5)
        smplx, flame = load_body_files(find_model_files(folder))
        body, exact = EhmBody(smplx, flame), EhmBody(smplx, flame, np.asarray)
        layout, step = ParameterRows(body), Step(body).eval()
        cases = []
        for people in (1, 2, 4, 8):
            persons = some_people(people)
            path = export(step, layout.pack(persons), folder / f"{people}.onnx")
            ways: dict[str, Callable[[EhmParameters], Any]] = {"NumPy, Numba": body.vertices}
            for precision, file in (("float32", path), ("int8", in_int8(path))):
                ways[f"onnxruntime, {precision}"] = by_onnxruntime(file, layout)
            cases.append((persons, ways))
        for persons, ways in cases:
            times = medians(*(partial(way, persons) for way in ways.values()))
            doubles = {f.name: getattr(persons, f.name).astype(float) for f in fields(persons)}
            expected = exact.vertices(EhmParameters(**doubles))
            for (way, call), taken in zip(ways.items(), times, strict=True):
                off = 1e3 * np.abs(call(persons) - expected).max()
                rows.append([str(len(expected)), way, f"{taken:.2f}", f"{off:.3f}"])
    head = ["people", "way", "ms", "largest difference, mm"]
    write_report("mesh_step", __doc__ or "", {"Vertices from parameters": (head, rows)})


if __name__ == "__main__":
    main()
