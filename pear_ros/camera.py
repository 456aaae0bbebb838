# SPDX-License-Identifier: Apache-2.0
"""The pinhole camera with which people are placed in space and projected into the image."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


class IntrinsicsSource(enum.IntEnum):
    """Where intrinsics come from; the numbers are those of pear_msgs/HumanArray."""

    CAMERA_INFO = 1
    FIELD_OF_VIEW = 2


@dataclass(frozen=True)
class Camera:
    """Pinhole intrinsics in pixels; integer pixel coordinates are pixel centres."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    source: IntrinsicsSource = IntrinsicsSource.CAMERA_INFO

    @classmethod
    def from_field_of_view(cls, width: int, height: int, degrees: float = 60.0) -> Camera:
        """Camera of an uncalibrated image: `degrees` across the longer side, square pixels.

        Raises ValueError when the field of view is not between 0 and 180 degrees.
        """
        if not 0.0 < degrees < 180.0:
            raise ValueError(f"field of view must be between 0 and 180 degrees, not {degrees}")
        focal = 0.5 * max(width, height) / math.tan(math.radians(degrees) / 2.0)
        centre = ((width - 1) / 2.0, (height - 1) / 2.0)
        return cls(width, height, focal, focal, *centre, IntrinsicsSource.FIELD_OF_VIEW)

    def project(self, points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Pixels (..., 2) of points (..., 3) in the optical frame; NaN behind the camera."""
        depth = points[..., 2:]
        uv = points[..., :2] / np.where(depth > 0.0, depth, np.nan)
        scale = np.array([self.fx, self.fy], np.float32)
        centre = np.array([self.cx, self.cy], np.float32)
        pixels: npt.NDArray[np.float32] = (uv * scale + centre).astype(np.float32)
        return pixels
