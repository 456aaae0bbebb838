# SPDX-License-Identifier: Apache-2.0
"""The interface of all runtimes. Imports none of their libraries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pear_ros.core.people import Array, Image
from pear_ros.pear.crop import Crops, Squares
from pear_ros.pear.runtimes.accuracy import Verdict


class RuntimeUnavailableError(Exception):
    """A runtime cannot be had here; the text says why, and what to do where something can be."""


@dataclass(frozen=True)
class RuntimeInfo:
    """What a runtime is and where it runs, for logs, diagnostics and the messages' model id."""

    name: str
    """One of pear_ros.core.choice.RUNTIMES: tensorrt, torch, onnxruntime or openvino."""
    version: str
    """Of the library."""
    device: str
    """Such as "NVIDIA H200, compute capability 9.0" or "CPU, 2 threads"."""
    precision: str
    """Of the network's body: fp32, fp16, bf16 or int8."""
    weights: str
    """Fingerprint of the weights, hexadecimal."""
    verdict: Verdict | None
    """How far it is from fp32; None where it is fp32 itself and needs no verdict."""

    def __str__(self) -> str:
        return f"{self.name} {self.version} in {self.precision} on {self.device}"


class Runtime(Protocol):
    """PEAR's network on some device. Not thread-safe: one thread at a time."""

    info: RuntimeInfo
    """What it is; whoever judges it puts the verdict in."""

    def infer(self, image: Image, places: Squares) -> Array:
        """(B, VECTOR_SIZE) float32 numbers on the people in the squares `places` of `image`.

        See pear_ros.pear.prediction for the numbers. The result is the caller's to keep. NaN or
        infinity, where a half-precision network overflows, are left in.
        """
        ...

    def warmup(self, people: int) -> None:
        """Make ready for 1 to `people` people at once, so that no image has to wait for it."""
        ...

    def memory(self) -> tuple[int, int] | None:
        """Bytes of the GPU that are free, and all that it has; None on the CPU, or where the GPU
        does not say. Any thread may ask at any time.
        """
        ...

    def close(self) -> None:
        """Free the device's memory; nothing may be asked of it afterwards. May be called twice."""
        ...


@runtime_checkable
class CropRuntime(Runtime, Protocol):
    """A runtime that also takes people who have been cropped already."""

    def infer_crops(self, crops: Crops) -> Array:
        """What `infer` gives for the squares that `crops` were made of, to the last bit.

        They are contiguous and stay as they are.
        """
        ...
