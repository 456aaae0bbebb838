# SPDX-License-Identifier: Apache-2.0
"""PEAR's network by ONNX Runtime on the CPU: the runtime where there is no GPU."""

from __future__ import annotations

import numpy as np
import onnxruntime

from pear_ros.core.people import Array, Image
from pear_ros.pear.crop import Crops, Squares
from pear_ros.pear.graph import INPUT, OUTPUT, Graph, Progress
from pear_ros.pear.prediction import VECTOR_SIZE
from pear_ros.pear.runtimes.cpu import CropBuffer, thread_count
from pear_ros.pear.runtimes.quantise import quantised
from pear_ros.pear.runtimes.runtime import RuntimeInfo, RuntimeUnavailableError

PRECISIONS = ("fp32", "int8")
_ERRORS_ONLY = 3


class OnnxRuntime:
    """A pear_ros.pear.runtimes.runtime.CropRuntime."""

    info: RuntimeInfo
    """What it is; whoever judges it puts the verdict in."""

    def __init__(
        self, graph: Graph, precision: str = "fp32", progress: Progress | None = None
    ) -> None:
        """`graph` in fp32; `precision`: one of PRECISIONS. int8 is made of the graph the first
        time, which takes minutes for ViT-H and is told to `progress`, and kept beside it.

        Raises RuntimeUnavailableError where that cannot be had.
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
            raise RuntimeUnavailableError(
                f"onnxruntime {onnxruntime.__version__} cannot load {path}, which may be damaged "
                f"({reason}): remove the file, it is made anew"
            ) from error
        self._crop = CropBuffer()
        self.info = RuntimeInfo(
            name="onnxruntime",
            version=onnxruntime.__version__,
            device=f"CPU, {threads} threads",
            precision=precision,
            weights=graph.weights,
            verdict=None,
        )

    def infer(self, image: Image, places: Squares) -> Array:
        """See Runtime. Raises ValueError for squares with NaN."""
        return self.infer_crops(self._crop(image, places))

    def infer_crops(self, crops: Crops) -> Array:
        """See CropRuntime."""
        assert self._session is not None, "closed"
        if len(crops) == 0:
            return np.empty((0, VECTOR_SIZE), np.float32)
        # It reads the crops where they are; bindings would save a copy of 4 kB for each person.
        vectors: Array = self._session.run([OUTPUT], {INPUT: crops})[0]
        return vectors

    def warmup(self, people: int) -> None:
        """See Runtime. Nothing depends on the number of people: one makes everything ready."""
        self.infer(np.zeros((1, 1, 3), np.uint8), np.array([[0.0, 0.0, 1.0]]))

    def memory(self) -> None:
        """See Runtime."""

    def close(self) -> None:
        """See Runtime."""
        self._session = None


def session_options(threads: int) -> onnxruntime.SessionOptions:
    """How sessions run beside the many other nodes of a robot."""
    options = onnxruntime.SessionOptions()
    # A number of our own: with its default it would also bind each thread to one core, where
    # another process may be busy.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Threads that wait for work sleep instead of keeping the others' cores busy.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # One block of memory for each number of people would be kept; ViT-H takes 0.2 GB less without.
    options.enable_mem_pattern = False
    options.log_severity_level = _ERRORS_ONLY
    return options
