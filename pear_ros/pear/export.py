# SPDX-License-Identifier: Apache-2.0
"""Writes PEAR's network as an ONNX graph, in the form that TensorRT fuses, and checks the file."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import shutil
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from pear_ros.pear.crop import INPUT_SIZE, Crops
from pear_ros.pear.deployed import DeployedNetwork
from pear_ros.pear.graph import (
    INPUT,
    OUTPUT,
    SCHEMA,
    SCRATCH,
    Graph,
    GraphError,
    Progress,
    data_file,
    graph_name,
    read_graph,
    record_file,
    write_record,
)
from pear_ros.pear.network import PearNetwork
from pear_ros.pear.prediction import LAYOUT
from pear_ros.pear.runtimes.accuracy import bundled_crops
from pear_ros.people import Array

if TYPE_CHECKING:
    import onnx_ir

OPSET = 20
"""The newest that TensorRT 10.3 reads, and the first with Gelu."""

TOLERANCE = 1e-3
"""Largest difference between a number of the file's and one of torch's, with the same weights and
both computed in fp32. Where nothing is wrong it is hundreds of times smaller, and that of fp16
larger."""

_CHECKED = 3
"""Crops that the file is checked with: another number than it was traced with."""

_NODES = {
    *("Add", "Cast", "Div", "Gelu", "Gemm", "LayerNormalization", "MatMul", "Mul", "Pad"),
    *("Reshape", "Slice", "Softmax", "Split", "Squeeze", "Sub", "Transpose"),
}
"""All that a graph consists of. TensorRT 10.3 reads them all."""


def export_graph(
    network: PearNetwork, precision: str, folder: Path, progress: Progress | None = None
) -> Graph:
    """Write `network`, which is in fp32 and on the CPU, to `folder` with its body in `precision`.

    All or nothing; an earlier graph of the same name is replaced. Before that the file is read
    again: its nodes are those that TensorRT fuses, onnx finds nothing wrong with it, and
    onnxruntime makes of its weights what torch makes of them, within TOLERANCE. For that half
    precision is widened to fp32 on both sides, as onnxruntime cannot compute in bf16 and computes
    fp16 in another way than torch; how far half precision itself is from fp32 is not looked at.

    Raises GraphError when onnx, onnxscript or onnxruntime is missing, the folder cannot be written
    or the file is not what it should be.
    """
    _require_packages()
    tell = progress or (lambda stage, done, total: None)
    name = graph_name(network.fingerprint, precision)
    deployed = DeployedNetwork(network, precision, explicit_attention=True)
    size = sum(weight.nbytes for weight in deployed.parameters())
    with _scratch(folder, size) as scratch:
        path = scratch / name
        tell("computing the reference in fp32", 0, 0)
        expected = reference(network)
        _write(deployed, path, tell)
        tell(f"checking {name}", 0, 0)
        _check(path, deployed)
        write_record(path, precision, network.fingerprint, expected, tell)
        # The record last: without it there is no graph.
        for part in (data_file(path), path, record_file(path)):
            os.replace(part, folder / part.name)
    return read_graph(folder / name)


@torch.no_grad()
def reference(network: PearNetwork) -> Array:
    """(N, VECTOR_SIZE) float32: what `network`, on the CPU, says of the bundled crops."""
    pictures = torch.tensor(bundled_crops()).flip(-1).permute(0, 3, 1, 2) / 255.0
    # One at a time, to need little memory.
    return np.concatenate([network(picture[None]).numpy() for picture in pictures])


class StageBars:
    """Progress on standard error: a line for each stage, in bytes where they count."""

    def __init__(self) -> None:
        self._stage = ""
        self._bar: Any = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage:
            self.close()
            shape = None if total else "{desc} {elapsed}"
            self._bar = tqdm(
                desc=stage, total=total or None, unit="B", unit_scale=True, bar_format=shape
            )
            self._stage = stage
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """End the last line."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> StageBars:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _require_packages() -> None:
    missing = [
        name
        for name in ("onnx", "onnxscript", "onnxruntime")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        names = " ".join(missing)
        raise GraphError(f"to write an ONNX graph, {names} must be there: pip install {names}")


@contextlib.contextmanager
def _scratch(folder: Path, size: int) -> Iterator[Path]:
    """A folder within `folder`, so that files can be moved, with room for `size` bytes."""
    try:
        free = shutil.disk_usage(folder).free
        if free < size:
            raise GraphError(
                f"a graph of {size / 1e9:.1f} GB cannot be written to {folder}, where "
                f"{free / 1e9:.1f} GB are free"
            )
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=folder) as scratch:
            yield Path(scratch)
    except OSError as error:
        raise GraphError(
            f"an ONNX graph of PEAR's network cannot be written to its model folder {folder} "
            f"({error.strerror or error})"
        ) from error


def _write(deployed: DeployedNetwork, path: Path, tell: Progress) -> None:
    """Write the .onnx file `path` and its data."""
    import onnx_ir

    tell("tracing the network", 0, 0)
    with _quiet():
        program = torch.onnx.export(
            deployed,
            (torch.zeros((2, INPUT_SIZE, INPUT_SIZE, 3), dtype=torch.uint8),),
            input_names=[INPUT],
            output_names=[OUTPUT],
            opset_version=OPSET,
            dynamic_shapes={"crops": {0: "people"}},
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model
    for node in model.graph.all_nodes():
        node.metadata_props.clear()  # Where in which file on this machine each was traced.
    model.metadata_props.update(
        {
            "pear_ros.schema": str(SCHEMA),
            "pear_ros.weights": deployed.fingerprint,
            "pear_ros.precision": deployed.precision,
            "pear_ros.layout": json.dumps(LAYOUT),
        }
    )
    tensors = [value.const_value for value in model.graph.initializers.values()]
    total = sum(tensor.nbytes for tensor in tensors if tensor is not None)

    def written(tensor: onnx_ir.TensorProtocol, info: onnx_ir.external_data.CallbackInfo) -> None:
        tell(f"writing {path.name}", info.offset + tensor.nbytes, total)

    onnx_ir.save(model, path, external_data=data_file(path).name, callback=written)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep to itself what torch's exporter says of its own inner workings."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _check(path: Path, deployed: DeployedNetwork) -> None:
    """Raise GraphError unless the file at `path` is `deployed`, which is widened to fp32."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    _check_nodes(model, deployed)
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise GraphError(f"onnx finds {path.name} faulty: {error}") from error
    crops = bundled_crops()[:_CHECKED]
    with torch.no_grad():
        expected = deployed.float()(torch.tensor(crops)).numpy()
    found = _run(model, path, crops)
    gap = np.abs(found - expected).max() if found.shape == expected.shape else np.inf
    if not gap <= TOLERANCE:
        raise GraphError(
            f"onnxruntime makes other numbers of {path.name} than torch of the network: they "
            f"differ by {gap:.1g}, more than {TOLERANCE:.1g}"
        )


def _check_nodes(model: Any, deployed: DeployedNetwork) -> None:
    """Raise GraphError where something was taken apart that TensorRT has whole."""
    counts = Counter(node.op_type for node in model.graph.node)
    modules = [*deployed.modules()]
    wanted = {
        "LayerNormalization": sum(isinstance(module, nn.LayerNorm) for module in modules),
        "Gelu": sum(hasattr(module, "fc1") for module in modules),
    }
    faults = [f"{counts[op]} {op} instead of {n}" for op, n in wanted.items() if counts[op] != n]
    faults += sorted(counts.keys() - _NODES)
    versions = [(opset.domain, opset.version) for opset in model.opset_import]
    if versions != [("", OPSET)] or model.functions:
        faults.append(f"opsets {versions} instead of {OPSET}")
    if faults:
        raise GraphError(
            f"torch {torch.__version__} exports PEAR's network in a form that TensorRT is slow or "
            f"wrong with ({', '.join(faults)}): take torch 2.13"
        )


def _run(model: Any, path: Path, crops: Crops) -> Array:
    """What onnxruntime makes of `crops` with the weights in the file, all widened to fp32."""
    import onnx
    import onnxruntime

    wide, half = onnx.TensorProto.FLOAT, (onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    weights = {}
    for tensor in model.graph.initializer:
        if tensor.data_type not in (wide, *half):
            continue
        values = onnx.numpy_helper.to_array(tensor, str(path.parent)).astype(np.float32)
        if onnx.external_data_helper.uses_external_data(tensor):
            weights[tensor.name] = onnxruntime.OrtValue.ortvalue_from_numpy(values)
            tensor.data_type = wide
        else:
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    for node in model.graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i in half:
                attribute.i = wide
    del model.graph.value_info[:]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_prepacking", "1")  # or all is there twice
    options.add_external_initializers([*weights.keys()], [*weights.values()])
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run([OUTPUT], {INPUT: crops})[0])
