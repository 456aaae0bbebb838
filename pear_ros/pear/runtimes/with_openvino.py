# SPDX-License-Identifier: Apache-2.0
"""PEAR's network by OpenVINO on the CPU: fast where the processor has bf16.

No int8: the graph that ONNX Runtime computes in int8 takes OpenVINO longer than fp32, and one with
fixed ranges of activations is several times less accurate.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import openvino
from openvino import properties

from pear_ros.core.people import Array
from pear_ros.pear.crop import Crops
from pear_ros.pear.graph import OUTPUT, Graph
from pear_ros.pear.prediction import VECTOR_SIZE
from pear_ros.pear.runtimes.cpu import CpuRuntime, has_bf16, thread_count
from pear_ros.pear.runtimes.runtime import RuntimeUnavailableError

PRECISIONS = {"fp32": openvino.Type.f32, "bf16": openvino.Type.bf16}
"""Precisions of the network's backbone."""


class OpenVinoRuntime(CpuRuntime):
    """PEAR's network by OpenVINO on the CPU: a pear_ros.pear.runtimes.runtime.CropRuntime."""

    def __init__(self, graph: Graph, precision: str = "fp32") -> None:
        """Load `graph`, which is in fp32, in `precision`, one of PRECISIONS.

        Raises RuntimeUnavailableError where that fails.
        """
        if precision not in PRECISIONS:
            raise RuntimeUnavailableError(
                f"OpenVINO computes in fp32 or bf16 on the CPU, not in {precision}: set precision "
                "to auto, fp32 or bf16"
            )
        try:
            core = _core()
        except RuntimeError as error:
            raise RuntimeUnavailableError(f"OpenVINO does not start: {error}") from error
        if precision == "bf16" and not _has_bf16(core):
            raise RuntimeUnavailableError(
                "this processor has no instructions for bf16, which is slower than fp32 then: set "
                "precision to auto"
            )
        threads = thread_count()
        version = openvino.__version__.partition("-")[0]
        settings = {
            properties.hint.performance_mode: properties.hint.PerformanceMode.LATENCY,
            properties.hint.inference_precision: PRECISIONS[precision],
            properties.inference_num_threads: threads,
            # A thread that is bound to a core waits for other processes there.
            properties.hint.enable_cpu_pinning: False,
        }
        try:
            compiled = core.compile_model(graph.path, "CPU", settings)
            self._request: openvino.InferRequest | None = compiled.create_infer_request()
        except RuntimeError as error:
            reason = str(error).strip().rpartition("\n")[2]
            raise RuntimeUnavailableError(
                f"OpenVINO {version} cannot load {graph.path}, which may be damaged ({reason}): "
                "export it again with `pear export-graph`"
            ) from error
        super().__init__("openvino", version, threads, precision, graph.weights)

    def infer_crops(self, crops: Crops) -> Array:
        """Return outputs (B, VECTOR_SIZE) float32 for `crops` (B, 256, 256, 3)."""
        assert self._request is not None, "closed"
        if len(crops) == 0:
            return np.empty((0, VECTOR_SIZE), np.float32)
        self._request.infer([openvino.Tensor(crops, shared_memory=True)])
        vectors: Array = self._request.get_tensor(OUTPUT).data.copy()
        return vectors

    def close(self) -> None:
        """Free the network; may be called twice."""
        self._request = None


@cache
def _core() -> openvino.Core:
    """Return OpenVINO's devices, the same for all networks of the process."""
    # The processor's plugin of each Core gives the thread that loads it another signal stack. At
    # its end it frees that stack, but restores the former one only in the same thread, and only
    # if no other Core was made since. Then Ctrl-C would crash: Python's handlers run on that stack.
    return openvino.Core()


def _has_bf16(core: openvino.Core) -> bool:
    # OpenVINO emulates bf16 elsewhere, which takes longer than fp32.
    can = core.get_property("CPU", properties.device.capabilities)
    return properties.device.Capability.BF16 in can and has_bf16()
