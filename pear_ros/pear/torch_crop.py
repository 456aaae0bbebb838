# SPDX-License-Identifier: Apache-2.0
"""Crops by torch: on the GPU from pixels that are uploaded once for everybody."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pear_ros.pear.crop import INPUT_SIZE, Squares
from pear_ros.people import Image


def crop_people(image: Image, places: Squares, device: torch.device) -> Tensor:
    """(B, 3, 256, 256) float32 on `device`: each square as red, green and blue from 0 to 1.

    Bilinear, black outside of the image, as the network was trained. What the squares cover of the
    image goes to the device once, as bytes. Raises ValueError for squares with NaN.
    """
    if not np.isfinite(places).all():
        raise ValueError("there is nothing to crop for squares with NaN: leave them out")
    if len(places) == 0:
        return torch.empty((0, 3, INPUT_SIZE, INPUT_SIZE), device=device)
    # (B, 2, 256) x of the crop's columns and y of its rows, in the image.
    points = places[:, :2, None] + places[:, 2:, None] * (np.arange(INPUT_SIZE) / INPUT_SIZE)
    limit = [image.shape[1] - 1, image.shape[0] - 1]
    first = np.clip(np.floor(points.min(axis=(0, 2))), 0, limit).astype(int)
    last = np.clip(np.ceil(points.max(axis=(0, 2))), 0, limit).astype(int)
    covered = image[first[1] : last[1] + 1, first[0] : last[0] + 1]
    # In grid_sample's measure -1 and 1 are the outer edges of the border pixels.
    size = (last - first + 1)[:, None]
    measure = (2.0 * (points - first[:, None]) + 1.0) / size - 1.0
    x, y = torch.from_numpy(measure.astype(np.float32)).to(device).unbind(1)
    square = (len(places), INPUT_SIZE, INPUT_SIZE)
    grid = torch.stack([x[:, None, :].expand(square), y[:, :, None].expand(square)], dim=-1)
    pixels = torch.from_numpy(np.require(covered, requirements=["C", "W"])).to(device)
    planes = pixels.permute(2, 0, 1).float().expand(len(places), -1, -1, -1)
    crops = F.grid_sample(planes, grid, "bilinear", "zeros", align_corners=False)
    return crops.flip(1) / 255.0
