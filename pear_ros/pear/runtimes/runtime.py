# SPDX-License-Identifier: Apache-2.0
"""The interface of all runtimes of PEAR's network. Imports none of their libraries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pear_ros.core.estimator import DeviceLostError
from pear_ros.core.people import Array, Image
from pear_ros.pear.crop import Crops, Squares
from pear_ros.pear.runtimes.accuracy import Verdict

MEMORY_ADVICE = "end other programs that use the GPU, or set max_people lower"
"""What to do where the GPU's memory is too small."""


class RuntimeUnavailableError(Exception):
    """A runtime is not available on this machine; the text has the reason and a remedy."""


class DeviceUnavailableError(RuntimeUnavailableError):
    """The device cannot run the network at present, in any precision: it may be full or busy."""


class RuntimeLostError(DeviceUnavailableError, DeviceLostError):
    """The device of a runtime failed, and this process cannot use it again."""


class IncompatibleEngineError(RuntimeUnavailableError):
    """An engine was built by another version or for another platform: it must be built again."""


@dataclass(frozen=True)
class RuntimeInfo:
    """Description of a runtime for logs, diagnostics and the messages' model id."""

    name: str
    """One of pear_ros.core.parameters.RUNTIMES: tensorrt, torch, onnxruntime or openvino."""
    version: str
    """Version of the library."""
    device: str
    """Device, such as "NVIDIA H200, compute capability 9.0" or "CPU, 2 threads"."""
    precision: str
    """Precision of the network's backbone: one of PRECISIONS in pear_ros.core.parameters, or
    pear_ros.core.configuration.FP16_FP32_ATTENTION."""
    weights: str
    """Fingerprint of the weights, hexadecimal."""
    verdict: Verdict | None
    """Accuracy against fp32; None where the precision is fp32."""

    def __str__(self) -> str:
        return f"{self.name} {self.version} in {self.precision} on {self.device}"


class Runtime(Protocol):
    """PEAR's network on a device. Not thread-safe: one thread at a time."""

    info: RuntimeInfo
    """Description of the runtime; `require_accurate` adds the verdict."""

    def infer(self, image: Image, places: Squares) -> Array:
        """Return outputs (B, VECTOR_SIZE) float32 for the people in squares of an image.

        `image` (H, W, 3): blue, green and red; `places` (B, 3): squares, see pear_ros.pear.crop.
        See pear_ros.pear.prediction for the outputs, which are a new array. They contain NaN or
        infinity where a half-precision network overflows.

        Raises ValueError for squares with NaN, RuntimeUnavailableError where a device fails, and
        RuntimeLostError, which is one, where every later call would fail.
        """
        ...

    def warmup(self, people: int) -> None:
        """Prepare batches of 1 to `people` people, so that the first images are not delayed.

        Raises RuntimeUnavailableError where a device fails, for example for lack of memory, and
        RuntimeLostError, which is one, where every later call would fail.
        """
        ...

    def memory(self) -> tuple[int, int] | None:
        """Return free and total bytes of the GPU's memory; None on the CPU or if unknown.

        Thread-safe.
        """
        ...

    def close(self) -> None:
        """Free the device's memory. May be called twice; nothing else may be called afterwards."""
        ...


@runtime_checkable
class CropRuntime(Runtime, Protocol):
    """A runtime that also takes crops."""

    def infer_crops(self, crops: Crops) -> Array:
        """Return outputs (B, VECTOR_SIZE) float32 for contiguous `crops` (B, 256, 256, 3).

        Bit by bit what `infer` returns for the squares of these crops, which are not changed.
        """
        ...
