# SPDX-License-Identifier: Apache-2.0
"""As much of TensorRT as pear_ros uses, on the fake CUDA of fake_cudart.c.

Its "network" writes every STEP-th byte of a crop to the crop's vector, when the stream comes to
it. As the real one, it reports failure by what it returns and by its log; an execution context
allocates when it runs for the first time, so that this cannot be captured, and must be left as it
is once a graph was captured with it.
"""

from __future__ import annotations

import ctypes
import enum
import json
from collections.abc import Callable
from typing import Any

import numpy as np

__version__ = "10.3.0"

cuda: ctypes.CDLL = None  # type: ignore[assignment]
"""The fake CUDA in use; set by the user of this module."""
refusal = ""
"""Name of a method that fails, with an error in the log."""
words = ""
"""The text of that error; empty: one that names the method."""

CROP = (256, 256, 3)
VECTOR = 935
STEP = 210
SCRATCH = 1000

_Kernel = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def plan(
    max_people: int,
    vector: int = VECTOR,
    profiles: list[tuple[int, int]] | None = None,
    layers: tuple[str, ...] = (),
) -> bytes:
    """A serialized engine; `profiles`: least and greatest number of people of each."""
    if profiles is None:
        usual = ((1, 2), (3, 4), (5, 8))
        profiles = [(low, min(high, max_people)) for low, high in usual if low <= max_people]
    return json.dumps({"profiles": profiles, "vector": vector, "layers": layers}).encode()


class ILogger:
    class Severity(enum.Enum):
        INTERNAL_ERROR = 0
        ERROR = 1
        WARNING = 2
        INFO = 3
        VERBOSE = 4

    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity

    def log(self, severity: ILogger.Severity, msg: str) -> None:
        raise NotImplementedError


class IProgressMonitor:
    pass


class DataType(enum.Enum):
    FLOAT = 0
    UINT8 = 1


class ExecutionContextAllocationStrategy(enum.Enum):
    STATIC = 0
    ON_PROFILE_CHANGE = 1
    USER_MANAGED = 2


class LayerInformationFormat(enum.Enum):
    ONELINE = 0
    JSON = 1


class _Refusing:
    def __init__(self, logger: ILogger) -> None:
        self._logger = logger

    def _refuses(self, method: str) -> bool:
        if refused := method == refusal:
            self._error(words or f"{method} was refused")
        return refused

    def _error(self, text: str) -> None:
        self._logger.log(ILogger.VERBOSE, "much ado")
        self._logger.log(ILogger.ERROR, text)

    def __del__(self) -> None:
        cuda.fakeNote(f"~{type(self).__name__}".encode())


class Runtime(_Refusing):
    engine_host_code_allowed = property(lambda self: False)

    def __init__(self, logger: ILogger) -> None:
        super().__init__(logger)
        if self._refuses("Runtime"):
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def deserialize_cuda_engine(self, serialized_engine: bytes | memoryview) -> ICudaEngine | None:
        if self._refuses("deserialize_cuda_engine"):
            return None
        return ICudaEngine(self._logger, self, json.loads(bytes(serialized_engine)))


class ICudaEngine(_Refusing):
    device_memory_size_v2 = SCRATCH
    num_io_tensors = 2

    def __init__(self, logger: ILogger, runtime: Runtime, made: dict[str, Any]) -> None:
        super().__init__(logger)
        self._runtime, self._made = runtime, made

    @property
    def num_optimization_profiles(self) -> int:
        return len(self._made["profiles"])

    def get_tensor_name(self, index: int) -> str:
        return ("crops", "people")[index]

    def get_tensor_dtype(self, name: str) -> DataType:
        return {"crops": DataType.UINT8, "people": DataType.FLOAT}[name]

    def get_tensor_shape(self, name: str) -> list[int]:
        # A size that does not vary is a fixed one.
        sizes = {size for profile in self._made["profiles"] for size in profile}
        batch = -1 if len(sizes) > 1 else sizes.pop()
        return {"crops": [batch, *CROP], "people": [batch, self._made["vector"]]}[name]

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[list[int]]:
        assert name == "crops"
        least, most = self._made["profiles"][profile_index]
        return [[least, *CROP], [most, *CROP], [most, *CROP]]

    def create_engine_inspector(self) -> EngineInspector | None:
        if self._refuses("create_engine_inspector"):
            return None
        return EngineInspector(self._made["layers"])

    def create_execution_context(
        self, strategy: ExecutionContextAllocationStrategy
    ) -> IExecutionContext | None:
        if self._refuses("create_execution_context"):
            return None
        assert strategy is ExecutionContextAllocationStrategy.USER_MANAGED
        return IExecutionContext(self._logger, self, self._made["profiles"])


class EngineInspector:
    def __init__(self, layers: list[str]) -> None:
        self._layers = layers

    def get_engine_information(self, format: LayerInformationFormat) -> str:
        assert format is LayerInformationFormat.JSON
        return json.dumps({"Layers": self._layers, "Bindings": ["crops", "people"]})


class IExecutionContext(_Refusing):
    def __init__(self, logger: ILogger, engine: ICudaEngine, profiles: list[list[int]]) -> None:
        super().__init__(logger)
        self._engine, self._profiles, self._profile = engine, profiles, 0
        self._scratch = self._people = 0
        self._addresses: dict[str, int] = {}
        self._ran = self._captured = False
        self._kernels: list[Callable[..., None]] = []

    def set_device_memory(self, memory: int, size: int) -> None:
        self._change()
        assert size >= SCRATCH and memory % 256 == 0
        self._scratch = memory

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        self._change()
        if self._refuses("set_optimization_profile_async"):
            return False
        assert cuda.fakeIsStream(ctypes.c_void_p(stream_handle))
        self._profile, self._people = profile_index, 0  # Shapes have to be set again.
        cuda.fakeNote(f"profile {profile_index}".encode())
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._change()
        people, *crop = shape
        if self._refuses("set_input_shape"):
            return False
        least, most = self._profiles[self._profile]
        if name != "crops" or tuple(crop) != CROP or not least <= people <= most:
            self._error(f"{shape} is outside of the profile")
            return False
        self._people = people
        return True

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._change()
        assert name in ("crops", "people") and memory % 256 == 0
        self._addresses[name] = memory
        return not self._refuses("set_tensor_address")

    def execute_async_v3(self, stream_handle: int) -> bool:
        stream = ctypes.c_void_p(stream_handle)
        if self._refuses("execute_async_v3"):
            return False
        if not self._scratch or not self._people or len(self._addresses) < 2:
            self._error("something was not set")
            return False
        if not self._ran:
            memory = ctypes.c_void_p()
            if cuda.cudaMalloc(ctypes.byref(memory), ctypes.c_size_t(64)):
                self._error("what is needed for the first run cannot be allocated")
                return False
            cuda.cudaFree(memory)
            self._ran = True
        self._captured |= bool(cuda.fakeCapturing(stream))
        kernel = _Kernel(self._work())
        self._kernels.append(kernel)
        return not cuda.fakeKernel(stream, kernel, None)

    def _work(self) -> Callable[[object], None]:
        """What the network does, with addresses as they are now."""
        people, scratch = self._people, self._scratch
        source, target = self._addresses["crops"], self._addresses["people"]
        read, written = people * 256 * 256 * 3, people * VECTOR * 4

        def work(_: object) -> None:
            for address, size in ((source, read), (target, written), (scratch, SCRATCH)):
                if not cuda.fakeIsDevice(ctypes.c_void_p(address), ctypes.c_size_t(size)):
                    cuda.fakeBreak(700)
                    return
            crops = np.ctypeslib.as_array((ctypes.c_uint8 * read).from_address(source))
            vectors = np.ctypeslib.as_array(
                (ctypes.c_float * (people * VECTOR)).from_address(target)
            )
            vectors[:] = network(crops.reshape(people, *CROP)).ravel()

        return work

    def _change(self) -> None:
        assert not self._captured, "a graph needs the context as it was"


def network(crops: np.ndarray) -> np.ndarray:
    """(B, VECTOR) float32 vectors of (B, 256, 256, 3) crops."""
    return crops.reshape(len(crops), 256 * 256 * 3)[:, ::STEP][:, :VECTOR].astype(np.float32)
