# SPDX-License-Identifier: Apache-2.0
"""Crops of people by torch: on a GPU, from one upload of the part of the image that they cover."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from pear_ros.core.people import Image
from pear_ros.pear.crop import INPUT_SIZE, Geometry, Squares, crop_geometry

_Pixels = TypeVar("_Pixels", Image, Tensor)

_BORDER = 1
"""Black pixels around the uploaded part, which stand for all outside it."""


def crop_people(image: Image, places: Squares, device: torch.device) -> Tensor:
    """Return crops (B, 3, 256, 256) float32 on `device`: red, green and blue from 0 to 1.

    Of the squares `places` (B, 3) of `image` (H, W, 3); bilinear interpolation, black outside, as
    in training. The part of the image that the squares cover is uploaded once, as bytes.

    Raises ValueError for squares with NaN.
    """
    piece, geometry = covered(image, places)
    pixels = torch.empty((room(piece), 3), dtype=torch.uint8)
    put_bordered(piece, pixels)
    crops = warp(pixels.to(device), torch.from_numpy(geometry).to(device))
    return crops.flip(-1).permute(0, 3, 1, 2) / 255.0


def covered(image: _Pixels, places: Squares) -> tuple[_Pixels, Geometry]:
    """Return the part of `image` that squares cover, and the geometry of the crops in it.

    `image` (H, W, 3); `places` (B, 3): squares, see pear_ros.pear.crop. The part is a view; the
    geometry (B, GEOMETRY) is in pixels of the part with its border.

    Raises ValueError for squares with NaN.
    """
    geometry = crop_geometry(places, image.shape[1], image.shape[0])
    corners, steps = geometry[:, :2], geometry[:, 2:3]
    limit = [image.shape[1] - 1, image.shape[0] - 1]
    first = np.floor(corners.min(axis=0, initial=np.inf)).clip(0, limit).astype(int)
    farthest = (corners + (INPUT_SIZE - 1) * steps).max(axis=0, initial=-np.inf)
    last = np.ceil(farthest).clip(0, limit).astype(int)
    if len(places) == 0:
        last = first
    geometry[:, :2] -= first - _BORDER
    geometry[:, 3:] = last + 1 - first + 2 * _BORDER
    return image[first[1] : last[1] + 1, first[0] : last[0] + 1], geometry


def room(piece: Image | Tensor) -> int:
    """Return the number of pixels of `piece` (H, W, 3) with its border."""
    return (piece.shape[0] + 2 * _BORDER) * (piece.shape[1] + 2 * _BORDER)


def put_bordered(piece: Image, pixels: Tensor) -> None:
    """Write `piece` (H, W, 3) with its border to `pixels` (`room`, 3) uint8 of the host."""
    height, width = (side + 2 * _BORDER for side in piece.shape[:2])
    bordered = pixels.numpy().reshape(height, width, 3)
    bordered[[0, -1]] = 0
    bordered[:, [0, -1]] = 0
    bordered[_BORDER:-_BORDER, _BORDER:-_BORDER] = piece


def copy_bordered(piece: Tensor, pixels: Tensor) -> None:
    """Enqueue a copy of `piece` (H, W, 3) with its border to `pixels` (`room`, 3) on its device."""
    height, width = (side + 2 * _BORDER for side in piece.shape[:2])
    bordered = pixels.view(height, width, 3)
    bordered[:: height - 1] = 0
    bordered[:, :: width - 1] = 0
    inside = bordered[_BORDER:-_BORDER, _BORDER:-_BORDER]
    inside.copy_(piece, non_blocking=True)


def warp(pixels: Tensor, geometry: Tensor) -> Tensor:
    """Return crops (B, 256, 256, 3) float32: blue, green and red from 0 to 255.

    `pixels` (N, 3) uint8: blue, green and red of `put_bordered`; N may be larger. `geometry`
    (B, GEOMETRY) float64, of `covered`. Bilinear interpolation, black outside the part. Shapes of
    results depend only on shapes of arguments, as CUDA graphs demand. Few large steps, as each is a
    kernel on a GPU.
    """
    origin, step, size = geometry[:, :2, None], geometry[:, 2, None, None], geometry[:, 3:, None]
    columns = torch.arange(INPUT_SIZE, dtype=geometry.dtype, device=geometry.device)
    points = torch.addcmul(origin, step, columns)  # (B, 2, 256): x and y
    below = points.floor()
    share = (points - below).float()
    # (B, 2, 2, 256): x and y of the two nearest pixels, outside moved onto the black border.
    near = torch.stack([below, below + 1.0], dim=2).clamp(min=0.0)
    near = torch.minimum(near, size[..., None] - 1.0)
    x, y = near[:, 0], near[:, 1]
    # (B, 2, 256, 2, 256, 3): upper or lower pixel, row, left or right pixel, column, colour.
    index = torch.addcmul(x[:, None, None], y[..., None, None], size[:, 0, :, None, None, None])
    corners = pixels[index.long()].float()
    rows = torch.lerp(corners[:, :, :, 0], corners[:, :, :, 1], share[:, 0, None, None, :, None])
    return torch.lerp(rows[:, 0], rows[:, 1], share[:, 1, :, None, None])
