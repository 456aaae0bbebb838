# SPDX-License-Identifier: Apache-2.0
"""From a box around a person to the square picture that PEAR's network is given.

Integer pixel coordinates are pixel centres, as in OpenCV.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from pear_ros.pear.network import INPUT_SIZE
from pear_ros.people import Array, Image

Squares = npt.NDArray[np.float64]
"""(B, 3) in pixels of the image: x0 and y0 of the top left corner, and the side. Pixel (u, v) of
the crop lies at x0 + u side / 256, y0 + v side / 256. NaN where there is nothing to crop."""

_MARGIN = 1.25
"""Side of the square over the longer side of the box."""


def squares(boxes: Array, width: int, height: int) -> Squares:
    """The squares to crop for `boxes` (B, 4), x0 y0 x1 y1, in an image of `width` x `height`.

    The rule is that of PEAR's training: a box that begins left of the image or above is moved in,
    then it is cut at the right and lower border and becomes a square about the same centre, a
    quarter larger. NaN for boxes without area or beyond the image, and for boxes with NaN.
    """
    corners = boxes.astype(np.float64).reshape(-1, 2, 2)
    sides = np.abs(corners[:, 1] - corners[:, 0])
    low = np.maximum(corners[:, 0], 0.0)
    high = np.minimum(low + np.maximum(sides - 1.0, 0.0), [width - 1.0, height - 1.0])
    side = _MARGIN * (high - low).max(axis=1, keepdims=True)
    inside = (sides > 0.0).all(axis=1) & (high > low).all(axis=1)
    found = np.concatenate([(low + high - side) / 2.0, side], axis=1)
    return np.where(inside[:, None], found, np.nan)


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
