# SPDX-License-Identifier: Apache-2.0
"""Silhouettes of fitted bodies in PEAR's crop, and their agreement with masks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pear_ros.body import BodyModel
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array
from pear_ros.pear.crop import INPUT_SIZE
from pear_ros.rendering.raster import rasterize

Bools = npt.NDArray[np.bool_]


def crop_camera(camera: Camera, square: npt.NDArray[np.float64]) -> Camera:
    """Return the camera of the crop (256, 256) of the square (3,) x0, y0, side of an image."""
    zoom = INPUT_SIZE / float(square[2])
    return replace(
        camera,
        width=INPUT_SIZE,
        height=INPUT_SIZE,
        fx=camera.fx * zoom,
        fy=camera.fy * zoom,
        cx=(camera.cx - float(square[0])) * zoom,
        cy=(camera.cy - float(square[1])) * zoom,
    )


def silhouette(
    vertices: Array, body: BodyModel, camera: Camera, square: npt.NDArray[np.float64]
) -> Bools:
    """Return which pixels (256, 256) of a crop a mesh (V, 3) covers, and are in the image.

    `vertices` in the optical frame of `camera`, which took the whole image, metres.
    """
    raster = rasterize(vertices, body.faces, crop_camera(camera, square))
    covered = np.zeros(INPUT_SIZE * INPUT_SIZE, bool)
    covered[raster.pixel] = True
    return covered.reshape(INPUT_SIZE, INPUT_SIZE) & inside_image(camera, square)


def inside_image(camera: Camera, square: npt.NDArray[np.float64]) -> Bools:
    """Return which pixels (256, 256) of the crop of a square (3,) are inside the image."""
    steps = np.arange(INPUT_SIZE) * (float(square[2]) / INPUT_SIZE)
    x, y = square[0] + steps, square[1] + steps
    columns = (x >= -0.5) & (x < camera.width - 0.5)
    rows = (y >= -0.5) & (y < camera.height - 0.5)
    return np.asarray(rows[:, None] & columns)


def overlap(a: Bools, b: Bools) -> float:
    """Return the intersection over union of two masks, 0 to 1; NaN where both are empty."""
    union = int((a | b).sum())
    return float((a & b).sum()) / union if union else float("nan")
