# SPDX-License-Identifier: Apache-2.0
"""What cameras do to pictures: motion blur, compression, a cast of colour."""

from __future__ import annotations

import cv2
import numpy as np

from pear_ros.core.people import Array, Image


def with_camera_faults(rng: np.random.Generator, image: Image) -> Image:
    """Return the picture with motion blur, coarse JPEG and a cast of colour, each at times."""
    if rng.random() < 0.2:
        length, angle = rng.integers(3, 10), rng.uniform(0, np.pi)
        image = np.asarray(cv2.filter2D(image, -1, _streak(int(length), angle)), np.uint8)
    if rng.random() < 0.3:
        cast = image * rng.uniform(0.8, 1.2, 3)
        image = np.clip(cast, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
        image = np.asarray(
            cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR), np.uint8
        )
    return image


def _streak(length: int, angle: float) -> Array:
    """Kernel (n, n) of a camera that moves by `length` pixels in the direction `angle`."""
    side = length | 1
    kernel = np.zeros((side, side), np.float32)
    along = np.linspace(-0.5, 0.5, 4 * side) * (length - 1)
    middle = side // 2
    columns = np.round(middle + along * np.cos(angle)).astype(int)
    kernel[np.round(middle + along * np.sin(angle)).astype(int), columns] = 1.0
    return np.asarray(kernel / kernel.sum(), np.float32)
