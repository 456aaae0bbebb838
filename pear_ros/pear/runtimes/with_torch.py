# SPDX-License-Identifier: Apache-2.0
"""PEAR's network by torch: on an NVIDIA GPU, or on the CPU, as the last choice.

On a GPU, crops are made there, from one upload of the part of the image that they cover, or from an
image that is there, and one CUDA graph for each batch size computes crops and network. Not yet run
on a GPU, only on a stand-in for one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import sdpa_kernel
from torch.utils.dlpack import from_dlpack

from pear_ros.core.device_image import DeviceImage, on_cpu, takes_device_images
from pear_ros.core.people import Array, Image
from pear_ros.pear.backbone import TOKENS, Block
from pear_ros.pear.crop import GEOMETRY, INPUT_SIZE, Geometry, Squares, crop_pixels
from pear_ros.pear.deployed import PRECISIONS, DeployedNetwork
from pear_ros.pear.network import PearNetwork
from pear_ros.pear.prediction import VECTOR_SIZE
from pear_ros.pear.runtimes.runtime import (
    DeviceUnavailableError,
    RuntimeInfo,
    RuntimeLostError,
    RuntimeUnavailableError,
)
from pear_ros.pear.torch_attention import fastest_attention
from pear_ros.pear.torch_crop import copy_bordered, covered, crop_people, put_bordered, room
from pear_ros.pear.torch_crop_kernel import KernelWarp, fastest_warp
from pear_ros.pear.torch_errors import (
    is_lost,
    is_out_of_memory,
    lost_text,
    reason,
    release_memory,
)
from pear_ros.pear.torch_graphs import TorchGraphs, device_name

_ROOM = 3840 * 2160
"""Most pixels of an image, or of the part of it with people, that is cropped on the GPU."""
_BF16 = 8
"""Least compute capability of GPUs with bf16."""


class TorchRuntime:
    """PEAR's network by torch: a pear_ros.pear.runtimes.runtime.Runtime."""

    info: RuntimeInfo
    """Description of the runtime; `require_accurate` adds the verdict."""

    def __init__(
        self,
        network: PearNetwork,
        precision: str,
        device: torch.device,
        max_people: int,
        blocking_wait: bool = False,
    ) -> None:
        """Prepare `network`, in fp32 on the CPU and not changed, for `device`.

        `precision`: fp32, fp16 or bf16, on the CPU fp32 alone; `max_people`: largest batch;
        `blocking_wait`: whether the CPU sleeps, instead of polling, while the GPU works.

        Raises RuntimeUnavailableError where that fails.
        """
        if precision not in PRECISIONS:
            raise RuntimeUnavailableError(
                f"torch has no {precision}: set precision to auto or one of {', '.join(PRECISIONS)}"
            )
        self._path: _OnCpu | _OnCuda | None
        self._device = device
        if device.type == "cpu":
            if precision != "fp32":
                raise RuntimeUnavailableError(
                    f"torch on the CPU is fast in fp32 alone, not in {precision}: set precision "
                    "to auto"
                )
            name = f"CPU, {torch.get_num_threads()} threads"
            self._path = _OnCpu(network)
        else:
            name = _require(device, precision)
            with self._gpu_errors():
                self._path = _OnCuda(network, precision, device, max_people, blocking_wait)
        version = str(torch.__version__)
        self.info = RuntimeInfo("torch", version, name, precision, network.fingerprint, None)

    @property
    def takes_device_images(self) -> bool:
        """Whether images on the GPU are cropped there."""
        return takes_device_images(self._path)

    @property
    def cropping(self) -> str:
        """Where crops are made, and how, for diagnostics."""
        return self._path.cropping if self._path is not None else "closed"

    def infer(self, image: Image | DeviceImage, places: Squares) -> Array:
        """Return outputs (B, VECTOR_SIZE) float32 for squares `places` (B, 3) of `image` (H, W, 3).

        Raises ValueError for squares with NaN; RuntimeUnavailableError where the GPU fails.
        """
        assert self._path is not None, "closed"
        if len(places) == 0:
            return np.empty((0, VECTOR_SIZE), np.float32)
        with self._gpu_errors():
            return self._path.infer(image, places)

    def warmup(self, people: int) -> None:
        """Record the CUDA graphs of batches of 1 to `people`; on the CPU there are none.

        Raises RuntimeUnavailableError where the GPU fails, for example for lack of memory.
        """
        assert self._path is not None, "closed"
        with self._gpu_errors():
            self._path.warmup(people)

    def memory(self) -> tuple[int, int] | None:
        """Return free and total bytes of the GPU's memory; None on the CPU or if unknown."""
        return self._path.memory() if self._path is not None else None

    def close(self) -> None:
        """Free the network and the GPU's memory; may be called twice."""
        if self._path is not None:
            self._path.close()
            self._path = None

    @contextmanager
    def _gpu_errors(self) -> Iterator[None]:
        """Raise errors of torch on the GPU as those of a runtime, without keeping its memory."""
        try:
            yield
        except RuntimeError as error:
            if self._device.type == "cpu":
                raise
            release_memory(error)
            if is_lost(self._device):
                raise RuntimeLostError(lost_text(error)) from error
            kind = DeviceUnavailableError if is_out_of_memory(error) else RuntimeUnavailableError
            raise kind(
                f"torch cannot run the network on {device_name(self._device)}: {reason(error)}"
            ) from error


class _OnCpu:
    """In fp32: half precision takes longer, except with instructions that few processors have."""

    cropping = "on the CPU"

    def __init__(self, network: PearNetwork) -> None:
        self._network = network

    @torch.inference_mode()
    def infer(self, image: Image | DeviceImage, places: Squares) -> Array:
        crops = crop_people(on_cpu(image), places, torch.device("cpu"))
        vectors: Array = self._network(crops).numpy()
        return vectors

    def warmup(self, people: int) -> None:
        """Prepare nothing."""

    def memory(self) -> None:
        """Return None: there is no GPU."""

    def close(self) -> None:
        """Free nothing."""


class _OnCuda:
    takes_device_images = True

    def __init__(
        self,
        network: PearNetwork,
        precision: str,
        device: torch.device,
        max_people: int,
        blocking_wait: bool = False,
    ) -> None:
        deployed = DeployedNetwork(network, precision, explicit_attention=False)
        self._network = deployed.to(device)
        block = network.backbone.blocks[0]
        assert isinstance(block, Block)
        heads, width = block.attn.heads, block.attn.qkv.in_features // block.attn.heads
        dtype = PRECISIONS[precision]
        self._attention = fastest_attention(heads, TOKENS, width, dtype, device)
        self._staging = torch.empty((_ROOM, 3), dtype=torch.uint8, pin_memory=True)
        self._pixels = torch.empty((_ROOM, 3), dtype=torch.uint8, device=device)
        self._warp, how = fastest_warp(device)
        self.cropping = f"on the GPU, {how}"
        # Input of the first run: an image of one pixel.
        rows = torch.ones((max_people, GEOMETRY), dtype=torch.float64, device=device)
        self._graphs = TorchGraphs(self._compute, rows, blocking_wait)
        self._graphs.record(1)

    def infer(self, image: Image | DeviceImage, places: Squares) -> Array:
        if isinstance(image, DeviceImage):
            return self._infer_on_device(image, places)
        piece, geometry = covered(image, places)
        if room(piece) > _ROOM:
            # The graphs read from fixed memory, and recording them anew would take seconds.
            piece, geometry = _cropped(image, places)
        pixels = room(piece)
        staged = self._staging[:pixels]
        put_bordered(piece, staged)
        with torch.cuda.stream(self._graphs.stream):
            self._pixels[:pixels].copy_(staged, non_blocking=True)
        return self._graphs.run(geometry)

    def _infer_on_device(self, image: DeviceImage, places: Squares) -> Array:
        with torch.cuda.stream(self._graphs.stream):
            # The image's owner lets this stream wait for its own work.
            piece, geometry = covered(from_dlpack(image.owner), places)
            pixels = room(piece)
            if pixels <= _ROOM:
                copy_bordered(piece, self._pixels[:pixels])
                return self._graphs.run(geometry)
        return self.infer(image.numpy(), places)

    def warmup(self, people: int) -> None:
        self._graphs.record(people)

    def memory(self) -> tuple[int, int] | None:
        with suppress(RuntimeError):
            return torch.cuda.mem_get_info(self._pixels.device)
        return None

    def close(self) -> None:
        self._graphs.close()
        del self._network, self._pixels
        if isinstance(self._warp, KernelWarp):
            self._warp.close()

    def _compute(self, geometry: Tensor) -> Tensor:
        pixels = self._warp(self._pixels, geometry)
        with sdpa_kernel(self._attention):
            found: Tensor = self._network.from_pixels(pixels)
        return found


def _cropped(image: Image, places: Squares) -> tuple[Image, Geometry]:
    """Crop on the CPU; return the crops, one below the other, as `covered` returns a part."""
    crops = crop_pixels(image, places)  # (B, 256, 256, 3)
    column = crops.reshape(-1, INPUT_SIZE, 3)
    tiles = np.zeros((len(crops), 3))
    tiles[:, 1], tiles[:, 2] = INPUT_SIZE * np.arange(len(crops)), INPUT_SIZE
    return covered(column, tiles)


def _require(device: torch.device, precision: str) -> str:
    """The GPU's name. Raises RuntimeUnavailableError where there is none, or it is too old."""
    if device.type != "cuda" or not torch.cuda.is_available():
        raise RuntimeUnavailableError(
            f"torch {torch.__version__} finds no NVIDIA GPU: check nvidia-smi, and install "
            "a build of torch for CUDA"
        )
    if precision == "bf16" and torch.cuda.get_device_capability(device)[0] < _BF16:
        raise RuntimeUnavailableError(
            f"{device_name(device)} has no bf16, which needs 8.0: set precision to auto"
        )
    return device_name(device)
