# SPDX-License-Identifier: Apache-2.0
"""PEAR's network on the GPU by TensorRT 10.3 to 11. Needs NumPy, TensorRT and CUDA's runtime.

Crops are made in pinned memory and uploaded, or made on the GPU of an image there. Network and
download of a batch are one CUDA graph.
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

from pear_ros.core.device_image import DeviceImage, on_cpu
from pear_ros.core.log import get_logger
from pear_ros.core.people import Array, Image
from pear_ros.pear.crop import Crops, Squares, crop_pixels
from pear_ros.pear.graph import INPUT, OUTPUT
from pear_ros.pear.prediction import VECTOR_SIZE
from pear_ros.pear.runtimes.cuda import BlockingEvent, Stream, gpu, memory
from pear_ros.pear.runtimes.cudart import CudaError, CudaLostError
from pear_ros.pear.runtimes.device_crops import device_crops
from pear_ros.pear.runtimes.engine import LOG, TensorRtError, tensorrt_version
from pear_ros.pear.runtimes.runtime import RuntimeInfo, RuntimeUnavailableError
from pear_ros.pear.runtimes.tensorrt_batch import CROP, CROP_BYTES, Batch, BatchMemory, free

_CAPTURES = 3
"""Failed captures after which no more are tried."""

logger = get_logger(__name__)


class TensorRtRuntime:
    """PEAR's network by TensorRT on the GPU: a pear_ros.pear.runtimes.runtime.CropRuntime."""

    info: RuntimeInfo
    """Description of the runtime; `require_accurate` adds the verdict."""
    max_people: int
    """Largest batch of the engine; more people are inferred in several batches."""
    cropping: str
    """Where images on the GPU are cropped, and why, for diagnostics."""

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
            owned.callback(free, self._stream)
            self._done = BlockingEvent() if blocking_wait else None
            if self._done is not None:
                owned.callback(free, self._done)
            with self._lost_if_broken():
                self._engine: trt.ICudaEngine | None = load_engine(plan)
            self._profiles = _check(self._engine)
            self.max_people = self._profiles[-1][1]
            self._memory = BatchMemory(self.max_people, self._engine, owned)
            self._device_crops, self.cropping = device_crops(self.max_people, self._stream)
            if self._device_crops is not None:
                owned.callback(free, self._device_crops)
            self._batches: dict[int, Batch] = {}
            owned.callback(self._free_batches)
            self._owned = owned.pop_all()
        _open.add(self)

    @property
    def takes_device_images(self) -> bool:
        """Whether images on the GPU are cropped there."""
        return self._device_crops is not None

    def infer(self, image: Image | DeviceImage, places: Squares) -> Array:
        """Return outputs (B, VECTOR_SIZE) float32 for squares `places` (B, 3) of `image` (H, W, 3).

        Raises CudaError and TensorRtError; ValueError for squares with NaN.
        """
        crops = self._device_crops
        if isinstance(image, DeviceImage) and crops is not None:
            device_image, target = image, self._memory.crops_gpu
            return self._infer(
                len(places), lambda batch: crops(device_image, places[batch], target)
            )
        pixels = on_cpu(image)
        return self._infer_on_cpu(
            len(places), lambda batch, out: crop_pixels(pixels, places[batch], out)
        )

    def infer_crops(self, crops: Crops) -> Array:
        """Return outputs (B, VECTOR_SIZE) float32 for `crops` (B, 256, 256, 3).

        Raises CudaError and TensorRtError.
        """
        return self._infer_on_cpu(len(crops), lambda batch, out: np.copyto(out, crops[batch]))

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

    def _infer_on_cpu(self, count: int, crop: Callable[[slice, Crops], object]) -> Array:
        """Outputs (count, VECTOR_SIZE); `crop` writes the crops of a slice to an array."""

        def enqueue(batch: slice) -> None:
            people = batch.stop - batch.start
            crop(batch, self._memory.crops.array[:people])
            self._stream.upload(self._memory.crops, self._memory.crops_gpu, people * CROP_BYTES)

        return self._infer(count, enqueue)

    def _infer(self, count: int, enqueue: Callable[[slice], object]) -> Array:
        """Outputs (count, VECTOR_SIZE); `enqueue` brings the crops of a slice to the GPU."""
        vectors = np.empty((count, VECTOR_SIZE), np.float32)
        with self._in_use:
            for first in range(0, count, self.max_people):
                batch = slice(first, min(first + self.max_people, count))
                people = batch.stop - first
                enqueue(batch)
                self._run(people)
                vectors[batch] = self._memory.vectors.array[:people]
        return vectors

    def _free_batches(self) -> None:
        with suppress(CudaError):  # After an error, work may still run.
            self._stream.synchronize()
        for batch in self._batches.values():
            batch.close()

    def _run(self, people: int) -> None:
        """Infer the first `people` crops on the GPU; outputs are in pinned memory then."""
        with self._lost_if_broken():
            batch = self._batches.get(people)
            if batch is None:
                profile = next(n for n, (_, most) in enumerate(self._profiles) if people <= most)
                batch = Batch(people, profile, self._engine, self._memory, self._stream)
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

    def _capture(self, batch: Batch) -> None:
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
        INPUT: (trt.DataType.UINT8, (batch, *CROP)),
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
