# SPDX-License-Identifier: Apache-2.0
"""Crops of people by one kernel in torch's streams; by torch's own kernels where it is not usable.

Not yet run on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from pear_ros.pear.crop import INPUT_SIZE
from pear_ros.pear.runtimes.crop_kernel import TO_FLOATS, CropKernel
from pear_ros.pear.runtimes.runtime import RuntimeLostError, RuntimeUnavailableError
from pear_ros.pear.torch_crop import covered, put_bordered, room, warp

Warp: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""Crops (B, 256, 256, 3) of pixels and geometry, see pear_ros.pear.torch_crop.warp."""

_TOLERANCE = 0.01
"""Largest difference from torch's crops, grey levels."""


class KernelWarp:
    """`warp` as one kernel; may be captured in CUDA graphs, which need it as long as they run."""

    def __init__(self) -> None:
        """Load the kernel on the first GPU.

        Raises RuntimeUnavailableError where CUDA fails, and OSError where the kernel's file is
        missing.
        """
        self._kernel = CropKernel(TO_FLOATS)

    def __call__(self, pixels: Tensor, geometry: Tensor) -> Tensor:
        """Enqueue the crops in torch's current stream, see pear_ros.pear.torch_crop.warp."""
        device = pixels.device
        crops = torch.empty((len(geometry), INPUT_SIZE, INPUT_SIZE, 3), device=device)
        stream = torch.cuda.current_stream(device).cuda_stream
        addresses = pixels.data_ptr(), geometry.data_ptr(), crops.data_ptr()
        self._kernel(*addresses, len(geometry), stream)
        return crops

    def close(self) -> None:
        """Unload the kernel; may be called twice."""
        self._kernel.close()


def fastest_warp(device: torch.device) -> tuple[Warp, str]:
    """Return a KernelWarp if it crops as `warp` does on `device`, else `warp`, and why.

    Raises RuntimeLostError where the GPU is lost.
    """
    if device.type != "cuda":
        return warp, "by torch"
    try:
        kernel = KernelWarp()
    except RuntimeLostError:
        raise
    except (RuntimeUnavailableError, OSError) as error:
        return warp, f"by torch, as the kernel for it cannot be loaded: {error}"
    off = _difference(kernel, device)
    if off <= _TOLERANCE:
        return kernel, "by one kernel"
    kernel.close()
    return warp, f"by torch, as the kernel for it is off by {off:g} grey levels"


def _difference(kernel: KernelWarp, device: torch.device) -> float:
    """Largest difference of the kernel's crops from torch's; infinite if one is NaN."""
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    piece, geometry = covered(image, np.array([[-5.25, -9.5, 80.0], [40.0, 20.5, 30.0]]))
    bordered = torch.empty((room(piece), 3), dtype=torch.uint8)
    put_bordered(piece, bordered)
    given = bordered.to(device), torch.from_numpy(geometry).to(device)
    found, expected = kernel(*given), warp(*given)
    torch.cuda.current_stream(device).synchronize()
    off = float((found - expected).abs().max())
    return off if np.isfinite(off) else np.inf
