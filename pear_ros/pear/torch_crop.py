# SPDX-License-Identifier: Apache-2.0
"""Crops by torch: on a GPU from pixels that are uploaded once for everybody."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pear_ros.core.people import Image
from pear_ros.pear.crop import INPUT_SIZE, Squares

GEOMETRY = 5
"""Numbers that tell what to crop: x, y and the step between the crop's pixels, in pixels of the
piece of the image that was uploaded, and that piece's width and height."""


def crop_people(image: Image, places: Squares, device: torch.device) -> Tensor:
    """(B, 3, 256, 256) float32 on `device`: each square as red, green and blue from 0 to 1.

    Bilinear, black outside of the image, as the network was trained. What the squares cover of the
    image goes to the device once, as bytes. Raises ValueError for squares with NaN.
    """
    piece, geometry = covered(image, places)
    pixels = torch.from_numpy(np.require(piece, requirements=["C", "W"]))
    return warp(pixels.reshape(-1, 3).to(device), torch.from_numpy(geometry).to(device))


def covered(image: Image, places: Squares) -> tuple[Image, npt.NDArray[np.float64]]:
    """The piece of `image` (a view) that the squares cover, and the (B, GEOMETRY) to crop from it.

    Raises ValueError for squares with NaN.
    """
    if not np.isfinite(places).all():
        raise ValueError("there is nothing to crop for squares with NaN: leave them out")
    corners, steps = places[:, :2], places[:, 2:] / INPUT_SIZE
    limit = [image.shape[1] - 1, image.shape[0] - 1]
    first = np.floor(corners.min(axis=0, initial=np.inf)).clip(0, limit).astype(int)
    farthest = (corners + (INPUT_SIZE - 1) * steps).max(axis=0, initial=-np.inf)
    last = np.ceil(farthest).clip(0, limit).astype(int)
    if len(places) == 0:
        last = first
    size = np.broadcast_to(last + 1 - first, corners.shape)
    piece = image[first[1] : last[1] + 1, first[0] : last[0] + 1]
    return piece, np.concatenate([corners - first, steps, size], axis=1)


def warp(pixels: Tensor, geometry: Tensor) -> Tensor:
    """(B, 3, 256, 256) float32 crops, red, green and blue from 0 to 1.

    `pixels` (N, 3) uint8: blue, green and red of the piece, row by row; it may be longer.
    `geometry` (B, GEOMETRY) float64, of `covered`. Bilinear, black outside of the piece. Shapes
    depend on shapes alone, so that a CUDA graph can hold it.
    """
    origin, step, size = geometry[:, :2, None], geometry[:, 2, None, None], geometry[:, 3:, None]
    columns = torch.arange(INPUT_SIZE, dtype=geometry.dtype, device=geometry.device)
    points = origin + step * columns
    below = points.floor()
    share = points - below
    # (B, 2, 2, 256): x and y, of the pixels before and behind each point.
    near = torch.stack([below, below + 1.0], dim=2)
    weights = torch.stack([1.0 - share, share], dim=2)
    inside = (near >= 0.0) & (near < size[..., None])
    weights = (weights * inside).float()
    near = torch.minimum(near.clamp(min=0.0), size[..., None] - 1.0)
    x, y = near[:, 0], near[:, 1] * size[:, :1]
    index = (y[:, :, :, None, None] + x[:, None, None]).long()
    # (B, 2, 256, 2, 256, 3): before and behind, row, before and behind, column, colour.
    corners = pixels[index]
    along = (corners * weights[:, 0, None, None, :, :, None]).sum(3)
    crops = (along * (weights[:, 1, :, :, None, None] / 255.0)).sum(1)
    return crops.flip(-1).permute(0, 3, 1, 2)
