# SPDX-License-Identifier: Apache-2.0
"""Export of PEAR's network as an ONNX graph, in the form that TensorRT fuses."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm import tqdm

from pear_ros.core.people import Array
from pear_ros.pear.crop import INPUT_SIZE
from pear_ros.pear.deployed import DeployedNetwork
from pear_ros.pear.graph import (
    INPUT,
    OPSET,
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
from pear_ros.pear.graph_check import check_file
from pear_ros.pear.network import PearNetwork
from pear_ros.pear.origin import Origin
from pear_ros.pear.prediction import LAYOUT
from pear_ros.pear.runtimes.reference_crops import bundled_crops

if TYPE_CHECKING:
    import onnx_ir


def export_graph(
    network: PearNetwork, precision: str, folder: Path, progress: Progress | None = None
) -> Graph:
    """Write `network`, fp32 on the CPU, to `folder` with its backbone in `precision`; return it.

    `precision`: one of FLOAT_PRECISIONS; `progress` is called with stage, bytes done and bytes in
    all. Files appear in `folder` only after `check_file` has passed; an earlier graph of the same
    name is replaced. 671 M parameters take a few minutes and 10 GB of memory.

    Raises GraphError when onnx, onnxscript or onnxruntime is missing, the folder cannot be written
    or the check fails.
    """
    _require_packages()
    report = progress or (lambda stage, done, total: None)
    name = graph_name(network.fingerprint, precision)
    body, head = (
        sum(weight.nbytes for weight in part.parameters())
        for part in (network.backbone, network.head)
    )
    with scratch_folder(folder, head + (body if precision == "fp32" else body // 2)) as scratch:
        path = scratch / name
        report("computing the reference in fp32", 0, 0)
        expected = reference(network)
        _write(network, precision, path, report)
        report(f"checking {name}", 0, 0)
        check_file(path, network, precision)
        origin = Origin(network.model, network.body)
        write_record(path, precision, network.fingerprint, expected, report, origin)
        # The record last: without it there is no graph.
        for part in (data_file(path), path, record_file(path)):
            os.replace(part, folder / part.name)
    return read_graph(folder / name)


@torch.no_grad()
def reference(network: PearNetwork) -> Array:
    """Return the outputs (N, VECTOR_SIZE) float32 of `network`, on the CPU, for bundled crops."""
    pictures = torch.tensor(bundled_crops()).flip(-1).permute(0, 3, 1, 2) / 255.0
    # One at a time, to save memory.
    return np.concatenate([network(picture[None]).numpy() for picture in pictures])


class StageBars:
    """Progress bars on standard error, one for each stage, in bytes if the stage has any."""

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
        """End the last bar."""
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
        raise GraphError(f"to write an ONNX graph, {names} must be installed: pip install {names}")


@contextlib.contextmanager
def scratch_folder(folder: Path, size: int) -> Iterator[Path]:
    """Make a temporary folder in `folder`, so that files can be moved, after checking for space.

    Raises GraphError where `size` bytes are not free, or writing in this context fails.
    """
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


def _write(network: PearNetwork, precision: str, path: Path, report: Progress) -> None:
    """Write the .onnx file `path` and its data."""
    import onnx_ir

    deployed = DeployedNetwork(network, precision, explicit_attention=True)
    report("tracing the network", 0, 0)
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
        node.metadata_props.clear()  # Paths of source files of this machine.
    model.metadata_props.update(
        {
            "pear_ros.schema": str(SCHEMA),
            "pear_ros.weights": network.fingerprint,
            "pear_ros.precision": precision,
            "pear_ros.layout": json.dumps(LAYOUT),
            **{f"pear_ros.{k}": v for k, v in Origin(network.model, network.body).named().items()},
        }
    )
    tensors = [value.const_value for value in model.graph.initializers.values()]
    total = sum(tensor.nbytes for tensor in tensors if tensor is not None)

    def written(tensor: onnx_ir.TensorProtocol, info: onnx_ir.external_data.CallbackInfo) -> None:
        report(f"writing {path.name}", info.offset + tensor.nbytes, total)

    onnx_ir.save(model, path, external_data=data_file(path).name, callback=written)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence warnings of torch's exporter about its own internals."""
    names = ("torch", "torch.__trace", "torch.onnx", "onnxscript", "onnx_ir")
    loggers = [logging.getLogger(name) for name in names]
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
