# SPDX-License-Identifier: Apache-2.0
"""The layers of a TensorRT engine, as its inspector names them. Needs the GPU of the engine."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from mmap import mmap

import tensorrt as trt

from pear_ros.pear.runtimes.cuda import gpu
from pear_ros.pear.runtimes.engine import LOG, TensorRtError
from pear_ros.pear.runtimes.with_tensorrt import load_engine

_FUSED_ATTENTION = re.compile("mha", re.IGNORECASE)
"""In names of layers: multi-head attention as one kernel, such as "_gemm_mha_v2_myl0_12"."""


def layer_names(plan: bytes | memoryview | mmap) -> list[str]:
    """Return the names of all layers of the engine `plan`.

    Raises NoGpuError and TensorRtError.
    """
    gpu()  # TensorRT may end the process where there is none.
    engine: trt.ICudaEngine = load_engine(plan)
    inspector: trt.EngineInspector | None = engine.create_engine_inspector()
    if inspector is None:
        raise TensorRtError(f"the engine cannot be inspected: {LOG.reason()}")
    text = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
    layers = json.loads(str(text))["Layers"]
    # Names alone, or descriptions where the engine was built with more details.
    return [layer["Name"] if isinstance(layer, dict) else str(layer) for layer in layers]


def fused_attention(names: Sequence[str]) -> int:
    """Return how many of the layers `names` are attention as one kernel."""
    return sum(bool(_FUSED_ATTENTION.search(name)) for name in names)
