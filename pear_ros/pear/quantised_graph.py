# SPDX-License-Identifier: Apache-2.0
"""An ONNX graph in fp16 whose backbone's linear layers compute in 8 bits, for TensorRT.

Before each layer, QuantizeLinear and DequantizeLinear round its input to 8 bits, and its weights
are stored in 8 bits with a DequantizeLinear (Q/DQ). TensorRT makes one matrix product in 8 bits of
the three; in a strongly typed network this is how a layer gets its precision. Other runtimes
compute the same numbers in fp16.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from pear_ros.core.people import Array
from pear_ros.pear.calibration import QuantisedLayer
from pear_ros.pear.export import scratch_folder
from pear_ros.pear.graph import (
    INPUT,
    OUTPUT,
    Graph,
    GraphError,
    Progress,
    data_file,
    graph_name,
    read_graph,
    record_file,
    write_record,
)
from pear_ros.pear.runtimes.accuracy import Verdict, judge
from pear_ros.pear.runtimes.reference_crops import bundled_crops

_PREFIX, _SUFFIX = "body.blocks.", ".bias"
"""Around a layer's name: the name of its bias in the graph."""
_ERRORS_ONLY = 3


def export_quantised(
    source: Graph,
    layers: Mapping[str, QuantisedLayer],
    precision: str,
    folder: Path,
    progress: Progress = lambda stage, done, total: None,
) -> tuple[Graph, Verdict]:
    """Write `source`, which is in fp16, with `layers` in 8 bits to `folder`; return it.

    `layers`: of `calibrate`, with `precision`. Also returned are its errors, rotations and places,
    against the network in fp32, by onnxruntime on the CPU over the bundled crops.

    Raises GraphError where these are too large, or the graph has other layers or cannot be written.
    """
    name = graph_name(source.weights, precision)
    with scratch_folder(folder, data_file(source.path).stat().st_size) as scratch:
        path = scratch / name
        progress(f"writing {name}", 0, 0)
        write_quantised(source, layers, precision, path)
        progress(f"checking {name}", 0, 0)
        verdict = judge(outputs(path), source.reference, None)
        if verdict.fault:
            raise GraphError(
                f"the network in {precision} is not accurate enough: {verdict.fault}. Calibrate it "
                "with more pictures of people, as your camera sees them, or stay with fp16"
            )
        write_record(path, precision, source.weights, source.reference, progress, source.origin)
        # The record last: without it there is no graph.
        for part in (data_file(path), path, record_file(path)):
            os.replace(part, folder / part.name)
    return read_graph(folder / name), verdict


def write_quantised(
    source: Graph, layers: Mapping[str, QuantisedLayer], precision: str, path: Path
) -> None:
    """Write the .onnx file `path` and its data: `source`, in fp16, with `layers` in 8 bits.

    Raises GraphError where the graph has other layers.
    """
    model = ir.load(source.path)
    _quantise(model.graph, layers)
    model.metadata_props["pear_ros.precision"] = precision
    ir.save(model, path, external_data=data_file(path).name)


def outputs(path: Path) -> Array:
    """Return outputs (8, VECTOR_SIZE) of the .onnx file `path` for the bundled crops.

    By onnxruntime on the CPU, which computes in fp32 what is not in 8 bits.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Extended optimisations would compute products in other steps than TensorRT.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = _ERRORS_ONLY
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    # One at a time, to save memory.
    crops = (crop[None] for crop in bundled_crops())
    return np.concatenate([session.run([OUTPUT], {INPUT: crop})[0] for crop in crops])


def _quantise(graph: ir.Graph, layers: Mapping[str, QuantisedLayer]) -> None:
    """Put Q/DQ into the `layers` of `graph`. Raises GraphError unless it has just these."""
    products = _products(graph)
    if products.keys() != layers.keys():
        raise GraphError(
            f"the graph has other linear layers than the network ({len(products)} instead of "
            f"{len(layers)}): export it again with torch 2.13"
        )
    for name, product in products.items():
        _quantise_layer(graph, name, product, layers[name])


def _products(graph: ir.Graph) -> dict[str, ir.Node]:
    """The matrix products of the blocks' linear layers, found by the bias that is added to them."""
    found = {}
    for node in graph:
        if node.op_type != "Add":
            continue
        for bias, product in (node.inputs, node.inputs[::-1]):
            layer = _layer_of(bias)
            producer = product.producer() if product is not None else None
            if layer and producer is not None and producer.op_type == "MatMul":
                found[layer] = producer
    return found


def _layer_of(bias: ir.Value | None) -> str:
    """Name of the layer that a value is the bias of; empty if there is none."""
    name = (bias is not None and bias.name) or ""
    inside = name.startswith(_PREFIX) and name.endswith(_SUFFIX)
    return name[len(_PREFIX) : -len(_SUFFIX)] if inside else ""


def _quantise_layer(graph: ir.Graph, name: str, node: ir.Node, layer: QuantisedLayer) -> None:
    def constant(suffix: str, values: Any) -> ir.Value:
        tensor = ir.tensor(values, name=f"{name}.{suffix}")
        kind = ir.TensorType(tensor.dtype)
        shape = ir.Shape(values.shape)
        value = ir.Value(name=tensor.name, shape=shape, type=kind, const_value=tensor)
        graph.register_initializer(value)
        return value

    def inserted(op: str, inputs: list[ir.Value], suffix: str, **attributes: int) -> ir.Value:
        added = ir.node(op, inputs, attributes, name=f"{name}.{suffix}")
        added.outputs[0].name = f"{name}.{suffix}"
        graph.insert_before(node, added)
        return added.outputs[0]

    x, weight = node.inputs
    assert x is not None and weight is not None and weight.name is not None
    if layer.smoothing is not None:
        x = inserted("Mul", [x, constant("smoothing", layer.smoothing)], "smoothed")
    zero = constant("zero", np.zeros((), layer.weight.dtype))
    scale = constant("input_scale", layer.input_scale)
    x = inserted("QuantizeLinear", [x, scale, zero], "quantised")
    node.replace_input_with(0, inserted("DequantizeLinear", [x, scale, zero], "rounded"))
    # x W^T: the product's second factor has a column for each output.
    columns = constant("weight", np.ascontiguousarray(layer.weight.T))
    scales = constant("weight_scale", np.ascontiguousarray(layer.weight_scale))
    zeros = constant("zeros", np.zeros(len(layer.weight), layer.weight.dtype))
    node.replace_input_with(
        1, inserted("DequantizeLinear", [columns, scales, zeros], "weights", axis=1)
    )
    if not weight.uses():
        graph.initializers.pop(weight.name)
