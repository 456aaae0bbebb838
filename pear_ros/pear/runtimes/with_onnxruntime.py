# SPDX-License-Identifier: Apache-2.0
"""PEAR's network by ONNX Runtime on the CPU: the default where there is no GPU."""

from __future__ import annotations

import numpy as np
import onnxruntime

from pear_ros.core.people import Array
from pear_ros.pear.crop import Crops
from pear_ros.pear.graph import INPUT, OUTPUT, Graph, Progress
from pear_ros.pear.prediction import VECTOR_SIZE
from pear_ros.pear.runtimes.cpu import CpuRuntime, thread_count
from pear_ros.pear.runtimes.quantise import quantised
from pear_ros.pear.runtimes.runtime import RuntimeUnavailableError

PRECISIONS = ("fp32", "int8")
"""Precisions of the network's backbone."""
_ERRORS_ONLY = 3


class OnnxRuntime(CpuRuntime):
    """PEAR's network by ONNX Runtime on the CPU: a pear_ros.pear.runtimes.runtime.CropRuntime."""

    def __init__(
        self, graph: Graph, precision: str = "fp32", progress: Progress | None = None
    ) -> None:
        """Load `graph`, which is in fp32, in `precision`, one of PRECISIONS.

        For int8 the graph is quantised the first time, which takes minutes for ViT-H and is
        reported to `progress`, and kept beside it.

        Raises RuntimeUnavailableError where that fails.
        """
        if precision not in PRECISIONS:
            raise RuntimeUnavailableError(
                f"onnxruntime computes in fp32 or int8 on the CPU, not in {precision}: set "
                "precision to auto, fp32 or int8"
            )
        path = quantised(graph, progress) if precision == "int8" else graph.path
        threads = thread_count()
        try:
            self._session: onnxruntime.InferenceSession | None = onnxruntime.InferenceSession(
                path, session_options(threads), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # Its errors have no common class of their own.
            reason = str(error).partition("\n")[0]
            remedy = (
                "remove its folder, it will be made again"
                if precision == "int8"
                else "export it again with `pear export-graph`"
            )
            raise RuntimeUnavailableError(
                f"onnxruntime {onnxruntime.__version__} cannot load {path}, which may be damaged "
                f"({reason}): {remedy}"
            ) from error
        super().__init__("onnxruntime", onnxruntime.__version__, threads, precision, graph.weights)

    def infer_crops(self, crops: Crops) -> Array:
        """Return outputs (B, VECTOR_SIZE) float32 for `crops` (B, 256, 256, 3)."""
        assert self._session is not None, "closed"
        if len(crops) == 0:
            return np.empty((0, VECTOR_SIZE), np.float32)
        # Crops are not copied; bindings would save a copy of 4 kB for each person.
        vectors: Array = self._session.run([OUTPUT], {INPUT: crops})[0]
        return vectors

    def close(self) -> None:
        """Free the network; may be called twice."""
        self._session = None


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """Return options for sessions on a robot, where many other processes run."""
    options = onnxruntime.SessionOptions()
    # With the default number, onnxruntime would also bind each thread to one core, where another
    # process may be busy.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads sleep instead of spinning.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # It would keep a block of memory for each batch size; ViT-H takes 0.2 GB less without.
    options.enable_mem_pattern = False
    options.log_severity_level = _ERRORS_ONLY
    return options
