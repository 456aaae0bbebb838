# SPDX-License-Identifier: Apache-2.0
"""Check that an exported ONNX file is PEAR's network, in the form that TensorRT fuses."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pear_ros.core.people import Array
from pear_ros.pear.crop import Crops
from pear_ros.pear.deployed import DeployedNetwork
from pear_ros.pear.graph import INPUT, OPSET, OUTPUT, GraphError
from pear_ros.pear.network import PearNetwork
from pear_ros.pear.runtimes.reference_crops import bundled_crops

TOLERANCE = 1e-3
"""Largest accepted difference between outputs of onnxruntime and of torch, both in fp32. With
synthetic weights it was 1e-5; fp16 differs by more than this."""

_CHECKED = 3
"""Crops with which a file is checked; it was traced with another number."""

_NODES = {
    *("Add", "Cast", "Div", "Gelu", "Gemm", "LayerNormalization", "MatMul", "Mul", "Pad"),
    *("Reshape", "Slice", "Softmax", "Split", "Squeeze", "Sub", "Transpose"),
}
"""The operators of a graph, all of which TensorRT 10.3 reads."""


def check_file(path: Path, network: PearNetwork, precision: str) -> None:
    """Raise GraphError unless the ONNX file `path` is `network` with its backbone in `precision`.

    Checked are the operators, which TensorRT must fuse; the model's types and shapes, by onnx; and
    the outputs, which onnxruntime and torch must compute alike within TOLERANCE. For this, weights
    in half precision are converted to fp32 and everything is computed in fp32: onnxruntime has no
    bf16 on the CPU, and rounds fp16 at other places than torch. The error of half precision itself
    is not measured here.
    """
    import onnx

    model = onnx.load(path, load_external_data=False)
    deployed = DeployedNetwork(network, precision, explicit_attention=True)
    _check_nodes(model, deployed)
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise GraphError(f"onnx refuses {path.name}: {error}") from error
    crops = bundled_crops()[:_CHECKED]
    with torch.no_grad():
        expected = deployed.float()(torch.tensor(crops)).numpy()
    del deployed  # onnxruntime needs the memory.
    found = _run(model, path, crops)
    gap = np.abs(found - expected).max() if found.shape == expected.shape else np.inf
    if not gap <= TOLERANCE:
        raise GraphError(
            f"outputs of {path.name} by onnxruntime differ from those of torch by {gap:.1g}, more "
            f"than {TOLERANCE:.1g}"
        )


def _check_nodes(model: Any, deployed: DeployedNetwork) -> None:
    """Raise GraphError where the exporter decomposed an operator that TensorRT has."""
    counts = Counter(node.op_type for node in model.graph.node)
    modules = [*deployed.modules()]
    expected = {
        "LayerNormalization": sum(isinstance(module, nn.LayerNorm) for module in modules),
        "Gelu": sum(hasattr(module, "fc1") for module in modules),
    }
    faults = [f"{counts[op]} {op} instead of {n}" for op, n in expected.items() if counts[op] != n]
    faults += sorted(counts.keys() - _NODES)
    versions = [(opset.domain, opset.version) for opset in model.opset_import]
    if versions != [("", OPSET)] or model.functions:
        faults.append(f"opsets {versions} instead of {OPSET}")
    if faults:
        raise GraphError(
            f"torch {torch.__version__} exports PEAR's network in a form that TensorRT is slow or "
            f"wrong with ({', '.join(faults)}): use torch 2.13"
        )


def _run(model: Any, path: Path, crops: Crops) -> Array:
    """Return onnxruntime's outputs (B, VECTOR_SIZE) for `crops`, with all weights in fp32."""
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
    options.add_session_config_entry(
        "session.disable_prepacking", "1"
    )  # It would copy all weights.
    options.add_external_initializers([*weights.keys()], [*weights.values()])
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return np.asarray(session.run([OUTPUT], {INPUT: crops})[0])
