# SPDX-License-Identifier: Apache-2.0
"""The graph in int8 for ONNX Runtime on the CPU: quantised from that in fp32 and kept beside it.

Only linear layers of the backbone, as quantising more costs accuracy and gains nothing: weights
with a scale for each channel, activations with a dynamic scale.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pear_ros.core.quoting import plain
from pear_ros.pear.graph import Graph, Progress
from pear_ros.pear.runtimes.cpu import has_int8_dot_product
from pear_ros.pear.runtimes.runtime import RuntimeUnavailableError

if TYPE_CHECKING:
    import onnx

_FORMAT = "1"
"""Version of the result; change it whenever the same graph is quantised differently."""
_NAME = "graph.onnx"


def quantised(graph: Graph, progress: Progress | None = None) -> Path:
    """Return the .onnx file in int8 of `graph`, which is in fp32; quantise it if there is none.

    It is in a folder of its own beside the graph, whose name contains a hash of its origin.

    Raises RuntimeUnavailableError when it cannot be made.
    """
    # Without the instructions for it, products of signed and unsigned bytes saturate.
    signed = has_int8_dot_product()
    made_of = f"{_FORMAT} {graph.sha256} {'signed' if signed else 'unsigned'}"
    key = hashlib.sha256(made_of.encode()).hexdigest()
    folder = graph.path.with_name(f"pear_{graph.weights[:8]}_int8_{key[:12]}")
    path = folder / _NAME
    if path.exists():
        return path
    if progress is not None:
        progress(f"quantising {graph.path.name} to int8", 0, 0)
    try:
        with tempfile.TemporaryDirectory(prefix=".pear_int8_", dir=graph.path.parent) as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            _quantise(graph.path, Path(scratch), made / _NAME, signed)
            # Atomic.
            made.rename(folder)
    except ImportError as error:
        raise RuntimeUnavailableError(
            f"int8 needs the package onnx, which is missing ({error}): pip install onnx"
        ) from error
    except OSError as error:
        if not path.exists():  # Another process may have made it.
            raise RuntimeUnavailableError(
                f"the graph in int8 cannot be written to {graph.path.parent} "
                f"({error.strerror or error})"
            ) from error
    except Exception as error:  # What onnx raises for a damaged graph depends on the damage.
        raise RuntimeUnavailableError(
            f"{graph.path}, which may be damaged, cannot be quantised ({plain(error)}): export it "
            "again with `pear export-graph`"
        ) from error
    return path


def _quantise(source: Path, scratch: Path, target: Path, signed: bool) -> None:
    """Write `target`, and its weights beside it; `scratch`: a temporary folder."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    model = onnx.load(source, load_external_data=False)
    nodes = _linear_layers(model)
    # Shapes are inferred again; not every version accepts those of torch's exporter as well.
    del model.graph.value_info[:]
    add_pre_process_metadata(model)
    # The weights must be beside it, and onnx accepts no links.
    data = source.name + ".data"
    shutil.copyfile(source.with_name(data), scratch / data)
    onnx.save(model, scratch / source.name)
    quantize_dynamic(
        scratch / source.name,
        target,
        nodes_to_quantize=nodes,
        per_channel=True,
        weight_type=QuantType.QInt8 if signed else QuantType.QUInt8,
        use_external_data_format=True,
    )


def _linear_layers(model: onnx.ModelProto) -> list[str]:
    """Names of the backbone's linear layers: constant weights, and more than one token."""
    shapes = {value.name: value.type.tensor_type.shape.dim for value in model.graph.value_info}
    weights = {weight.name for weight in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type == "MatMul"
        and node.input[1] in weights
        and shapes[node.input[0]][-2].dim_value != 1
    ]
