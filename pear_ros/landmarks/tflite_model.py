# SPDX-License-Identifier: Apache-2.0
"""A TFLite network with square images as input, run by LiteRT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import flatbuffers  # type: ignore[import-untyped]
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_litert.schema_py_generated import BuiltinOperator, ModelT

from pear_ros.core.people import Array, Image


class TfliteModel:
    """One interpreter of one network; not thread-safe, each thread needs its own."""

    def __init__(
        self,
        content: bytes,
        outputs: Sequence[int],
        value_range: tuple[float, float] = (0.0, 1.0),
        num_threads: int = 1,
    ) -> None:
        """Load a model from the content of its file.

        `outputs`: positions of the wanted outputs in the model's own order; `value_range`: values
        of the input for colours 0 and 255.
        """
        self._interpreter = Interpreter(model_content=content, num_threads=num_threads)
        self._interpreter.allocate_tensors()
        (details,) = self._interpreter.get_input_details()
        self._input: int = details["index"]
        self.pixels = int(details["shape"][1])
        """Side of the network's input, pixels."""
        all_outputs = self._interpreter.get_output_details()
        self._outputs: list[int] = [all_outputs[position]["index"] for position in outputs]
        self._offset = value_range[0]
        self._scale = (value_range[1] - value_range[0]) / 255.0

    def __call__(self, crop: Image) -> list[Array]:
        """Return the outputs for a crop (pixels, pixels, 3) uint8 BGR, in the model's shapes."""
        tensor = cv2.cvtColor(crop, cv2.COLOR_BGR2RGB).astype(np.float32)
        tensor *= self._scale
        tensor += self._offset
        self._interpreter.set_tensor(self._input, tensor[np.newaxis])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index) for index in self._outputs]


def pruned(path: Path, outputs: Sequence[int]) -> bytes:
    """Return the content of a model file reduced to some of its outputs, in the given order.

    LiteRT computes all outputs of a model; operators that none of the wanted ones depends on are
    removed.
    """
    model = ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    (graph,) = model.subgraphs
    graph.outputs = [graph.outputs[position] for position in outputs]
    needed = set(graph.outputs)
    operators = []
    for operator in reversed(graph.operators):
        if not needed.isdisjoint(operator.outputs):
            needed.update(operator.inputs)
            operators.append(operator)
    graph.operators = operators[::-1]
    model.signatureDefs = []
    return _packed(model, path.stat().st_size)


def resized(content: bytes, width: int, height: int) -> bytes:
    """Return the content of a fully convolutional model's file for input of another size, pixels.

    The sizes to which feature maps are resampled are constants in the file; they are scaled with
    the input's. Whoever loads the result has to resize the input tensor to (1, height, width, 3).
    """
    model = ModelT.InitFromPackedBuf(content, 0)
    (graph,) = model.subgraphs
    _, old_height, old_width, _ = graph.tensors[graph.inputs[0]].shape
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex].builtinCode
        if code == BuiltinOperator.RESIZE_BILINEAR:
            buffer = model.buffers[graph.tensors[operator.inputs[1]].buffer]
            size = np.frombuffer(buffer.data.tobytes(), np.int32)
            size = size * (height, width) // (old_height, old_width)
            buffer.data = np.frombuffer(size.astype(np.int32).tobytes(), np.uint8)
    return _packed(model, len(content))


def sigmoid(logits: Array) -> Array:
    """Return the probabilities of logits, without overflow."""
    probabilities: Array = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return probabilities


def _packed(model: ModelT, size: int) -> bytes:
    """The content of a model's file of about `size` bytes."""
    builder = flatbuffers.Builder(size)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
