# SPDX-License-Identifier: Apache-2.0
"""One batch size of a TensorRT engine of PEAR's network: its memory, context and CUDA graph."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import tensorrt as trt

from pear_ros.core.log import get_logger
from pear_ros.pear.crop import INPUT_SIZE
from pear_ros.pear.graph import INPUT, OUTPUT
from pear_ros.pear.prediction import VECTOR_SIZE
from pear_ros.pear.runtimes.cuda import BlockingEvent, DeviceBuffer, Graph, PinnedBuffer, Stream
from pear_ros.pear.runtimes.cudart import CudaError, CudaLostError
from pear_ros.pear.runtimes.device_crops import DeviceCrops
from pear_ros.pear.runtimes.engine import LOG

CROP = (INPUT_SIZE, INPUT_SIZE, 3)
"""Shape of a crop, the network's input for one person."""
CROP_BYTES = INPUT_SIZE * INPUT_SIZE * 3
"""Bytes of a crop."""
_VECTOR_BYTES = 4 * VECTOR_SIZE

logger = get_logger(__name__)


class BatchMemory:
    """Memory of crops, outputs and the network's activations."""

    def __init__(self, people: int, engine: trt.ICudaEngine, owned: ExitStack) -> None:
        """Allocate for batches of up to `people`; `owned` frees it. Raises CudaError."""
        self.scratch_bytes = max(int(engine.device_memory_size_v2), 1)
        self.crops = PinnedBuffer((people, *CROP), np.uint8)
        owned.callback(free, self.crops)
        self.vectors = PinnedBuffer((people, VECTOR_SIZE), np.float32)
        owned.callback(free, self.vectors)
        self.crops_gpu = DeviceBuffer(people * CROP_BYTES)
        owned.callback(free, self.crops_gpu)
        self.vectors_gpu = DeviceBuffer(people * _VECTOR_BYTES)
        owned.callback(free, self.vectors_gpu)
        self.scratch = DeviceBuffer(self.scratch_bytes)
        owned.callback(free, self.scratch)


class Batch:
    """Execution context and CUDA graph for one batch size.

    A graph is only valid for an unchanged execution context, so each batch size has its own; they
    share the memory of activations.
    """

    def __init__(
        self,
        people: int,
        profile: int,
        engine: trt.ICudaEngine,
        memory: BatchMemory,
        stream: Stream,
    ) -> None:
        """Create the execution context for the engine's `profile`. Raises TensorRtError."""
        self.graph: Graph | None = None
        """The CUDA graph; None until it is captured."""
        self.ran = False
        """Whether it has run before."""
        self._people, self._memory, self._stream = people, memory, stream
        LOG.clear()
        strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        context: trt.IExecutionContext | None = engine.create_execution_context(strategy)
        if context is None:
            raise LOG.error(f"TensorRT creates no context for {people} people")
        context.set_device_memory(memory.scratch.handle, memory.scratch_bytes)
        ready = (
            context.set_optimization_profile_async(profile, stream.handle),
            context.set_input_shape(INPUT, (people, *CROP)),
            context.set_tensor_address(INPUT, memory.crops_gpu.handle),
            context.set_tensor_address(OUTPUT, memory.vectors_gpu.handle),
        )
        if not all(ready):
            raise LOG.error(f"TensorRT does not take {people} people")
        self._context = context

    def enqueue(self) -> None:
        """Enqueue network and download. Raises CudaError and TensorRtError."""
        memory, stream = self._memory, self._stream
        LOG.clear()
        if not self._context.execute_async_v3(stream.handle):
            raise LOG.error(f"TensorRT does not run {self._people} people")
        stream.download(memory.vectors_gpu, memory.vectors, self._people * _VECTOR_BYTES)

    def close(self) -> None:
        """Free the graph, then the context."""
        if self.graph is not None:
            free(self.graph)
        self.__dict__.pop("_context", None)


def free(
    owned: BlockingEvent | DeviceCrops | Stream | DeviceBuffer | PinnedBuffer | Graph,
) -> None:
    """Close `owned`; log where that fails, unless the GPU is lost, which frees it."""
    try:
        owned.close()
    except CudaLostError:
        pass  # All memory is freed with the process.
    except CudaError as error:
        logger.warning("GPU memory may leak: %s", error)
