# SPDX-License-Identifier: Apache-2.0
"""PEAR's network by torch: on an NVIDIA GPU, or on the CPU, where it is the last resort.

On a GPU the crops are made there too, out of one piece of the image that is uploaded for everybody,
and one CUDA graph for each number of people does all from the crop to the numbers. That has not yet
been run on a GPU, only on a stand-in for one.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import torch
from torch import Tensor

from pear_ros.core.people import Array, Image
from pear_ros.pear.crop import Squares
from pear_ros.pear.deployed import PRECISIONS, DeployedNetwork
from pear_ros.pear.network import PearNetwork
from pear_ros.pear.prediction import VECTOR_SIZE
from pear_ros.pear.runtimes.runtime import RuntimeInfo, RuntimeUnavailableError
from pear_ros.pear.torch_crop import GEOMETRY, covered, crop_people, warp
from pear_ros.pear.torch_graphs import TorchGraphs, device_name

_ROOM = 3840 * 2160
"""Pixels of an image for which there is room from the start."""
_BF16 = 8
"""Compute capability from which on NVIDIA's GPUs have bf16."""


class TorchRuntime:
    """A pear_ros.pear.runtimes.runtime.Runtime."""

    info: RuntimeInfo
    """What it is; whoever judges it puts the verdict in."""

    def __init__(
        self, network: PearNetwork, precision: str, device: torch.device, max_people: int
    ) -> None:
        """`network` in fp32 on the CPU, which stays as it is; `precision`: fp32, fp16 or bf16, on
        the CPU fp32 alone; `max_people`: the most in one batch.

        Raises RuntimeUnavailableError where that cannot be had.
        """
        if precision not in PRECISIONS:
            raise RuntimeUnavailableError(
                f"torch has no {precision}: set precision to auto or one of {', '.join(PRECISIONS)}"
            )
        self._path: _OnCpu | _OnCuda | None
        if device.type == "cpu":
            if precision != "fp32":
                raise RuntimeUnavailableError(
                    f"torch on the CPU is quick in fp32 alone, not in {precision}: set precision "
                    "to auto"
                )
            name = f"CPU, {torch.get_num_threads()} threads"
            self._path = _OnCpu(network)
        else:
            name = _require(device, precision)
            try:
                self._path = _OnCuda(network, precision, device, max_people)
            except RuntimeError as error:  # Such as too little memory.
                reason = str(error).partition("\n")[0]
                raise RuntimeUnavailableError(
                    f"torch cannot run the network on {name}: {reason}"
                ) from error
        version = str(torch.__version__)
        self.info = RuntimeInfo("torch", version, name, precision, network.fingerprint, None)

    def infer(self, image: Image, places: Squares) -> Array:
        """See Runtime. Raises ValueError for squares with NaN."""
        assert self._path is not None, "closed"
        if len(places) == 0:
            return np.empty((0, VECTOR_SIZE), np.float32)
        return self._path.infer(image, places)

    def warmup(self, people: int) -> None:
        """See Runtime."""
        assert self._path is not None, "closed"
        self._path.warmup(people)

    def memory(self) -> tuple[int, int] | None:
        """See Runtime."""
        return self._path.memory() if self._path is not None else None

    def close(self) -> None:
        """See Runtime."""
        if self._path is not None:
            self._path.close()
            self._path = None


class _OnCpu:
    """Half precision takes longer there, except by instructions that few processors have."""

    def __init__(self, network: PearNetwork) -> None:
        self._network = network

    @torch.inference_mode()
    def infer(self, image: Image, places: Squares) -> Array:
        crops = crop_people(image, places, torch.device("cpu"))
        vectors: Array = self._network(crops).numpy()
        return vectors

    def warmup(self, people: int) -> None:
        """There is nothing to prepare."""

    def memory(self) -> None:
        """There is no GPU."""

    def close(self) -> None:
        """Nothing is held."""


class _OnCuda:
    def __init__(
        self, network: PearNetwork, precision: str, device: torch.device, max_people: int
    ) -> None:
        deployed = DeployedNetwork(network, precision, explicit_attention=False)
        self._network = deployed.to(device)
        # Something to look at in the first run: a picture of one pixel.
        self._geometry = torch.ones((max_people, GEOMETRY), dtype=torch.float64, device=device)
        self._make_room(_ROOM)
        self._graphs.record(1)

    def infer(self, image: Image, places: Squares) -> Array:
        piece, geometry = covered(image, places)
        pixels = piece.shape[0] * piece.shape[1]
        if pixels > len(self._pixels):
            self._graphs.close()
            self._make_room(image.shape[0] * image.shape[1])
        staged = self._staging[:pixels]
        np.copyto(staged.numpy().reshape(piece.shape), piece)
        with torch.cuda.stream(self._graphs.stream):
            self._pixels[:pixels].copy_(staged, non_blocking=True)
        return self._graphs.run(geometry)

    def warmup(self, people: int) -> None:
        self._graphs.record(people)

    def memory(self) -> tuple[int, int] | None:
        with suppress(RuntimeError):
            return torch.cuda.mem_get_info(self._geometry.device)
        return None

    def close(self) -> None:
        del self._network, self._pixels
        self._graphs.close()

    def _make_room(self, pixels: int) -> None:
        """For images of so many pixels. Graphs are recorded anew, as they read from one place."""
        device = self._geometry.device
        self._staging = torch.empty((pixels, 3), dtype=torch.uint8, pin_memory=True)
        self._pixels = torch.empty((pixels, 3), dtype=torch.uint8, device=device)
        self._graphs = TorchGraphs(self._compute, self._geometry)

    def _compute(self, geometry: Tensor) -> Tensor:
        found: Tensor = self._network.from_pictures(warp(self._pixels, geometry))
        return found


def _require(device: torch.device, precision: str) -> str:
    """The GPU's name; raises RuntimeUnavailableError where it is not there, or is too old."""
    if device.type != "cuda" or not torch.cuda.is_available():
        raise RuntimeUnavailableError(
            f"torch {torch.__version__} sees no NVIDIA GPU: nvidia-smi tells whether there is one, "
            "and a build of torch for CUDA is needed"
        )
    if precision == "bf16" and torch.cuda.get_device_capability(device)[0] < _BF16:
        raise RuntimeUnavailableError(
            f"{device_name(device)} has no bf16, which needs 8.0: set precision to auto"
        )
    return device_name(device)
