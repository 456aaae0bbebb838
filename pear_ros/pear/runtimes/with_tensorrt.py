# SPDX-License-Identifier: Apache-2.0
"""PEAR's network on the GPU by TensorRT 10.3 to 11. Needs NumPy, TensorRT and CUDA's runtime.

Crops are made in pinned memory. Upload, network and download of a batch are one CUDA graph.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from mmap import mmap

import numpy as np
import tensorrt as trt

from pear_ros.core.log import get_logger
from pear_ros.core.people import Array, Image
from pear_ros.pear.crop import INPUT_SIZE, Crops, Squares, crop_pixels
from pear_ros.pear.graph import INPUT, OUTPUT
from pear_ros.pear.prediction import VECTOR_SIZE
from pear_ros.pear.runtimes.cuda import (
    BlockingEvent,
    DeviceBuffer,
    Graph,
    PinnedBuffer,
    Stream,
    gpu,
    memory,
)
from pear_ros.pear.runtimes.cudart import CudaError, CudaLostError
from pear_ros.pear.runtimes.engine import LOG, TensorRtError, tensorrt_version
from pear_ros.pear.runtimes.runtime import RuntimeInfo, RuntimeUnavailableError

_CROP = (INPUT_SIZE, INPUT_SIZE, 3)
_CROP_BYTES = INPUT_SIZE * INPUT_SIZE * 3
_VECTOR_BYTES = 4 * VECTOR_SIZE
_CAPTURES = 3
"""Failed captures after which no more are tried."""

logger = get_logger(__name__)


class TensorRtRuntime:
    """PEAR's network by TensorRT on the GPU: a pear_ros.pear.runtimes.runtime.CropRuntime."""

    info: RuntimeInfo
    """Description of the runtime; `require_accurate` adds the verdict."""
    max_people: int
    """Largest batch of the engine; more people are inferred in several batches."""

    def __init__(
        self, plan: bytes | memoryview | mmap, info: RuntimeInfo, blocking_wait: bool = False
    ) -> None:
        """Load the engine `plan`, built on this machine by pear_ros.pear.runtimes.engine.

        `blocking_wait`: whether the CPU sleeps, instead of polling, until the GPU is done.

        Raises NoGpuError, CudaError and TensorRtError. Python's end closes the runtime, if close()
        has not been called and no thread uses it: TensorRT may crash if its objects outlive that.
        """
        self.info = info
        self._in_use = threading.Lock()
        self._captures_left = _CAPTURES
        with ExitStack() as owned:
            # Before TensorRT, which may end the process where there is no GPU.
            self._stream = Stream()
            owned.callback(_free, self._stream)
            self._done = BlockingEvent() if blocking_wait else None
            if self._done is not None:
                owned.callback(_free, self._done)
            with self._lost_if_broken():
                self._engine: trt.ICudaEngine | None = load_engine(plan)
            self._profiles = _check(self._engine)
            self.max_people = self._profiles[-1][1]
            self._memory = _Memory(self.max_people, self._engine, owned)
            self._batches: dict[int, _Batch] = {}
            owned.callback(self._free_batches)
            self._owned = owned.pop_all()
        _open.add(self)

    def infer(self, image: Image, places: Squares) -> Array:
        """Return outputs (B, VECTOR_SIZE) float32 for squares `places` (B, 3) of `image` (H, W, 3).

        Raises CudaError and TensorRtError; ValueError for squares with NaN.
        """
        return self._infer(len(places), lambda batch, out: crop_pixels(image, places[batch], out))

    def infer_crops(self, crops: Crops) -> Array:
        """Return outputs (B, VECTOR_SIZE) float32 for `crops` (B, 256, 256, 3).

        Raises CudaError and TensorRtError.
        """
        return self._infer(len(crops), lambda batch, out: np.copyto(out, crops[batch]))

    def warmup(self, people: int) -> None:
        """Capture CUDA graphs for batches of 1 to `people`. Raises CudaError and TensorRtError."""
        with self._in_use:
            for number in range(1, min(people, self.max_people) + 1):
                for _ in ("as it is", "as a graph"):
                    self._run(number)

    def memory(self) -> tuple[int, int] | None:
        """Return free and total bytes of the GPU's memory; None if unknown."""
        with suppress(RuntimeUnavailableError):
            return memory(gpu())
        return None

    def close(self) -> None:
        """Free the GPU's memory; may be called twice."""
        _open.discard(self)
        self._owned.close()
        self._engine = None

    def close_unless_in_use(self) -> None:
        """Close, but not while a thread infers: it may wait for the GPU for ever."""
        if self._in_use.acquire(blocking=False):
            self.close()

    def _infer(self, count: int, crop: Callable[[slice, Crops], object]) -> Array:
        """Outputs (count, VECTOR_SIZE); `crop` writes the crops of a slice to an array."""
        vectors = np.empty((count, VECTOR_SIZE), np.float32)
        with self._in_use:
            for first in range(0, count, self.max_people):
                batch = slice(first, min(first + self.max_people, count))
                people = batch.stop - first
                crop(batch, self._memory.crops.array[:people])
                self._run(people)
                vectors[batch] = self._memory.vectors.array[:people]
        return vectors

    def _free_batches(self) -> None:
        with suppress(CudaError):  # After an error, work may still run.
            self._stream.synchronize()
        for batch in self._batches.values():
            batch.close()

    def _run(self, people: int) -> None:
        """Infer the first `people` crops in pinned memory; outputs are in pinned memory as well."""
        with self._lost_if_broken():
            batch = self._batches.get(people)
            if batch is None:
                profile = next(n for n, (_, most) in enumerate(self._profiles) if people <= most)
                batch = _Batch(people, profile, self._engine, self._memory, self._stream)
                self._batches[people] = batch
            # TensorRT initialises in the first run, which cannot be captured.
            if batch.ran and batch.graph is None and self._captures_left:
                self._capture(batch)
            if batch.graph is None:
                batch.enqueue()
            else:
                self._stream.launch(batch.graph)
        if self._done is None:
            self._stream.synchronize()
        else:
            self._done.wait(self._stream)
        batch.ran = True

    @contextmanager
    def _lost_if_broken(self) -> Iterator[None]:
        """Raise CudaLostError instead of a TensorRtError that comes of such an error of CUDA."""
        try:
            yield
        except TensorRtError as error:
            # TensorRT gives no code, but CUDA returns an error that persists in each later call.
            try:
                self._stream.synchronize()
            except CudaLostError as lost:
                raise lost from error
            except CudaError:
                pass
            raise

    def _capture(self, batch: _Batch) -> None:
        try:
            batch.graph = self._stream.capture(batch.enqueue)
        except (CudaError, TensorRtError) as error:
            self._captures_left -= 1
            if not self._captures_left:
                logger.warning(
                    "The network cannot be captured as a CUDA graph (%s): its kernels are"
                    " launched one by one for each image, which is slower.",
                    error,
                )


class _Memory:
    """Memory of crops, outputs and the network's activations."""

    def __init__(self, people: int, engine: trt.ICudaEngine, owned: ExitStack) -> None:
        """Allocate for batches of up to `people`; `owned` frees it. Raises CudaError."""
        self.scratch_bytes = max(int(engine.device_memory_size_v2), 1)
        self.crops = PinnedBuffer((people, *_CROP), np.uint8)
        owned.callback(_free, self.crops)
        self.vectors = PinnedBuffer((people, VECTOR_SIZE), np.float32)
        owned.callback(_free, self.vectors)
        self.crops_gpu = DeviceBuffer(people * _CROP_BYTES)
        owned.callback(_free, self.crops_gpu)
        self.vectors_gpu = DeviceBuffer(people * _VECTOR_BYTES)
        owned.callback(_free, self.vectors_gpu)
        self.scratch = DeviceBuffer(self.scratch_bytes)
        owned.callback(_free, self.scratch)


class _Batch:
    """Execution context and CUDA graph for one batch size.

    A graph is only valid for an unchanged execution context, so each batch size has its own; they
    share the memory of activations.
    """

    def __init__(
        self, people: int, profile: int, engine: trt.ICudaEngine, memory: _Memory, stream: Stream
    ) -> None:
        """Create the execution context for the engine's `profile`. Raises TensorRtError."""
        self.graph: Graph | None = None
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
            context.set_input_shape(INPUT, (people, *_CROP)),
            context.set_tensor_address(INPUT, memory.crops_gpu.handle),
            context.set_tensor_address(OUTPUT, memory.vectors_gpu.handle),
        )
        if not all(ready):
            raise LOG.error(f"TensorRT does not take {people} people")
        self._context = context

    def enqueue(self) -> None:
        """Enqueue upload, network and download. Raises CudaError and TensorRtError."""
        memory, stream = self._memory, self._stream
        stream.upload(memory.crops, memory.crops_gpu, self._people * _CROP_BYTES)
        LOG.clear()
        if not self._context.execute_async_v3(stream.handle):
            raise LOG.error(f"TensorRT does not run {self._people} people")
        stream.download(memory.vectors_gpu, memory.vectors, self._people * _VECTOR_BYTES)

    def close(self) -> None:
        """Free the graph, then the context."""
        if self.graph is not None:
            _free(self.graph)
        self.__dict__.pop("_context", None)


def load_engine(plan: bytes | memoryview | mmap) -> trt.ICudaEngine:
    """Return the engine of `plan`, built on this machine. Raises TensorRtError.

    Make sure that there is a GPU: TensorRT may end the process where there is none.
    """
    version = tensorrt_version()
    LOG.clear()
    try:
        runtime = trt.Runtime(LOG)
    except (RuntimeError, TypeError) as error:
        raise LOG.error(f"TensorRT {version} cannot be used here") from error
    engine: trt.ICudaEngine | None = runtime.deserialize_cuda_engine(plan)
    if engine is None:
        raise LOG.loading_error(f"TensorRT {version} cannot load the engine")
    return engine


def _check(engine: trt.ICudaEngine) -> list[tuple[int, int]]:
    """Least and greatest batch of each profile of `engine`, in order.

    Raises TensorRtError when it is of another network.
    """
    profiles = []
    for number in range(int(engine.num_optimization_profiles)):
        shapes: list[tuple[int, ...]] = engine.get_tensor_profile_shape(INPUT, number)
        profiles.append((int(shapes[0][0]), int(shapes[-1][0])))
    sizes = [size for least, most in profiles for size in range(least, most + 1)]
    if not sizes or sizes != [*range(1, len(sizes) + 1)]:
        raise TensorRtError(f"the engine is not of PEAR's network: it takes batches of {profiles}")
    # TensorRT reports the size itself where there is only one.
    batch = -1 if len(sizes) > 1 else 1
    names = [engine.get_tensor_name(number) for number in range(int(engine.num_io_tensors))]
    found = {
        name: (engine.get_tensor_dtype(name), tuple(engine.get_tensor_shape(name)))
        for name in names
    }
    expected = {
        INPUT: (trt.DataType.UINT8, (batch, *_CROP)),
        OUTPUT: (trt.DataType.FLOAT, (batch, VECTOR_SIZE)),
    }
    if found != expected:
        raise TensorRtError(f"the engine is not of PEAR's network: it has {found}")
    return profiles


_open: weakref.WeakSet[TensorRtRuntime] = weakref.WeakSet()
"""Runtimes to be closed when Python ends."""


@atexit.register
def _close_all() -> None:
    for runtime in list(_open):
        runtime.close_unless_in_use()


def _free(owned: BlockingEvent | Stream | DeviceBuffer | PinnedBuffer | Graph) -> None:
    try:
        owned.close()
    except CudaLostError:
        pass  # All memory is freed with the process.
    except CudaError as error:
        logger.warning("GPU memory may leak: %s", error)
