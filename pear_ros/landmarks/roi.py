# SPDX-License-Identifier: Apache-2.0
"""Regions of interest: rotated squares of an image, the inputs of the landmark models."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from pear_ros.core.people import Array, Image


@dataclass(frozen=True)
class Roi:
    """A rotated square region of an image, in pixels; it may reach outside the image."""

    x: float
    """x of the centre."""
    y: float
    """y of the centre."""
    size: float
    """Length of a side."""
    angle: float = 0.0
    """Radians, clockwise as seen in the image; 0: the square's top is the image's top."""

    @classmethod
    def from_box(cls, box: Array, scale: float = 1.0) -> Roi:
        """Return the upright square on a box (4,) x0 y0 x1 y1, of its longer side times `scale`."""
        x0, y0, x1, y1 = (float(edge) for edge in box)
        return cls((x0 + x1) / 2.0, (y0 + y1) / 2.0, max(x1 - x0, y1 - y0) * scale)

    @classmethod
    def from_centre_and_top(cls, centre: Array, top: Array, scale: float = 1.0) -> Roi:
        """Return the square around the circle with this centre (2,) through `top` (2,), its top."""
        dx, dy = (float(delta) for delta in top - centre)
        size = 2.0 * math.hypot(dx, dy) * scale
        return cls(float(centre[0]), float(centre[1]), size, math.atan2(dx, -dy))

    @classmethod
    def around(cls, points: Array, angle: float, scale: float = 1.0) -> Roi:
        """Return the smallest square at this angle around points (N, 2), times `scale`."""
        turned = points @ _rotation(angle)
        low, high = turned.min(axis=0), turned.max(axis=0)
        x, y = _rotation(angle) @ ((low + high) / 2.0)
        return cls(float(x), float(y), float((high - low).max()) * scale, angle)

    def shifted(self, along_x: float, along_y: float) -> Roi:
        """Return the square moved along its own axes by fractions of its size."""
        x, y = (
            np.array([self.x, self.y]) + self.rotation() @ np.array([along_x, along_y]) * self.size
        )
        return Roi(float(x), float(y), self.size, self.angle)

    def scaled(self, factor: float) -> Roi:
        """Return the square with the same centre and angle and `factor` times the size."""
        return Roi(self.x, self.y, self.size * factor, self.angle)

    def rotation(self) -> Array:
        """Return the rotation (2, 2) from the square's axes to the image's."""
        return _rotation(self.angle)

    def affine(self, pixels: int) -> Array:
        """Return the matrix (2, 3) from pixels of a crop of `pixels` x `pixels` to the image's."""
        linear = self.rotation() * (self.size / pixels)
        offset = np.array([self.x, self.y]) - linear @ np.full(2, pixels / 2.0)
        return np.column_stack([linear, offset]).astype(np.float32)

    def crop(self, image: Image, pixels: int, border: int = cv2.BORDER_REPLICATE) -> Image:
        """Return the square, upright, as an image (pixels, pixels, 3); `border` as in OpenCV."""
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cropped = np.empty((pixels, pixels, 3), np.uint8)
        cv2.warpAffine(
            image, self.affine(pixels), (pixels, pixels), cropped, flags, borderMode=border
        )
        return cropped

    def uncrop(self, points: Array, pixels: int) -> Array:
        """Return the image points of points (N, 2 or 3) in a crop; a third coordinate is scaled."""
        matrix = self.affine(pixels)
        flat = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
        return np.hstack([flat, points[:, 2:] * (self.size / pixels)]).astype(np.float32)

    def unrotate(self, points: Array) -> Array:
        """Return points (N, 3), given along the square's axes, along the image's axes."""
        return np.hstack([points[:, :2] @ self.rotation().T, points[:, 2:]])


@dataclass(frozen=True)
class FramedRoi(Roi):
    """A region of interest whose crop is black outside a frame in the image."""

    frame: tuple[int, int, int, int] = (0, 0, 0, 0)
    """x0 y0 x1 y1, whole pixels inside the image, x1 and y1 excluded; not empty."""

    def crop(self, image: Image, pixels: int, border: int = cv2.BORDER_CONSTANT) -> Image:
        """Return the square, upright, as an image (pixels, pixels, 3), black outside the frame.

        `border` as in OpenCV, of the frame.
        """
        x0, y0, x1, y1 = self.frame
        inner = Roi(self.x - x0, self.y - y0, self.size, self.angle)
        return inner.crop(image[y0:y1, x0:x1], pixels, border)


def _rotation(angle: float) -> Array:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin], [sin, cos]], np.float32)
