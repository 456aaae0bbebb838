# SPDX-License-Identifier: Apache-2.0
"""Square crops of people, the input of PEAR's network, from their bounding boxes.

Integer pixel coordinates are pixel centres, as in OpenCV.
"""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from pear_ros.core.people import Array, Image

INPUT_SIZE = 256
"""Side of the network's square input images, pixels."""

Crops: TypeAlias = npt.NDArray[np.uint8]
"""(B, 256, 256, 3) images of people: blue, green and red."""

Squares: TypeAlias = npt.NDArray[np.float64]
"""(B, 3) squares in pixels of the image: x0 and y0 of the top left corner, and the side.

Pixel (u, v) of the crop is at x0 + u side / 256, y0 + v side / 256 of the image. NaN where there is
nothing to crop."""

Geometry: TypeAlias = npt.NDArray[np.float64]
"""(B, GEOMETRY) crops, in pixels of an image: x and y of the first pixel, the step from one pixel
to the next, and width and height of the image."""
GEOMETRY = 5
"""Numbers that define a crop."""

_MARGIN = 1.25
"""Side of the square over the longer side of the box."""


def squares(boxes: Array, width: int, height: int) -> Squares:
    """Return the squares (B, 3) to crop for `boxes` (B, 4), x0 y0 x1 y1, in pixels.

    `width` and `height` of the image, pixels. As in PEAR's training, a box that begins left of the
    image or above is moved in, cut at the right and lower border, and extended to a square about
    the same centre, a quarter larger. NaN for boxes without area or beyond the image, and for boxes
    with NaN.
    """
    corners = boxes.astype(np.float64).reshape(-1, 2, 2)
    sides = np.abs(corners[:, 1] - corners[:, 0])
    low = np.maximum(corners[:, 0], 0.0)
    high = np.minimum(low + np.maximum(sides - 1.0, 0.0), [width - 1.0, height - 1.0])
    side = _MARGIN * (high - low).max(axis=1, keepdims=True)
    inside = (sides > 0.0).all(axis=1) & (high > low).all(axis=1)
    found = np.concatenate([(low + high - side) / 2.0, side], axis=1)
    return np.where(inside[:, None], found, np.nan)


def crop_geometry(places: Squares, width: int, height: int) -> Geometry:
    """Return the geometry (B, GEOMETRY) of the crops of squares `places` (B, 3) of an image.

    `width` and `height` of the image, pixels. Raises ValueError for squares with NaN.
    """
    _require_finite(places)
    size = np.broadcast_to(np.array([width, height], np.float64), (len(places), 2))
    return np.concatenate([places[:, :2], places[:, 2:] / INPUT_SIZE, size], axis=1)


def crop_pixels(image: Image, places: Squares, out: Crops | None = None) -> Crops:
    """Return crops (B, 256, 256, 3) of the squares `places` (B, 3) of `image` (H, W, 3), as bytes.

    Bilinear interpolation, black outside the image. Written to `out` if given.

    Raises ValueError for squares with NaN.
    """
    _require_finite(places)
    size = (INPUT_SIZE, INPUT_SIZE)
    crops = np.empty((len(places), *size, 3), np.uint8) if out is None else out
    for crop, (x, y, side) in zip(crops, places, strict=True):
        step = side / INPUT_SIZE
        to_image = np.array([[step, 0.0, x], [0.0, step, y]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cv2.warpAffine(image, to_image, size, dst=crop, flags=flags)
    return crops


def crop_points(pixels: Array, square: npt.NDArray[np.float64]) -> Array:
    """Return points (..., 2) of the image, pixels, in pixels of the crop of `square` (3,)."""
    moved: Array = ((pixels - square[:2]) * (INPUT_SIZE / square[2])).astype(np.float32)
    return moved


def _require_finite(places: Squares) -> None:
    if not np.isfinite(places).all():
        raise ValueError("there is nothing to crop for squares with NaN: leave them out")
