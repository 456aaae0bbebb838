# SPDX-License-Identifier: Apache-2.0
"""The camera model: pinhole with lens distortion, from points to pixels and back."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pear_ros.core.distortion import Distortion


class IntrinsicsSource(enum.IntEnum):
    """Source of the intrinsics; the numbers are those of pear_msgs/HumanArray."""

    CAMERA_INFO = 1
    """Calibrated, for example by sensor_msgs/CameraInfo."""
    FIELD_OF_VIEW = 2
    """Assumed from a field of view."""


@dataclass(frozen=True)
class Camera:
    """Intrinsics of a camera in pixels; whole pixel coordinates are pixel centres."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    source: IntrinsicsSource = IntrinsicsSource.CAMERA_INFO
    distortion: Distortion | None = None
    """Lens distortion; None: the image is rectified."""

    @classmethod
    def from_field_of_view(cls, width: int, height: int, degrees: float = 60.0) -> Camera:
        """Return the camera of an uncalibrated image of `width` x `height` pixels.

        `degrees`: field of view across the longer side; pixels are square. Raises ValueError when
        it is not between 0 and 180 degrees.
        """
        if not 0.0 < degrees < 180.0:
            raise ValueError(f"field of view must be between 0 and 180 degrees, not {degrees}")
        focal = 0.5 * max(width, height) / math.tan(math.radians(degrees) / 2.0)
        centre = ((width - 1) / 2.0, (height - 1) / 2.0)
        return cls(width, height, focal, focal, *centre, IntrinsicsSource.FIELD_OF_VIEW)

    @cached_property
    def pinhole(self) -> Camera:
        """The camera without distortion: the one of the rectified image."""
        return self if self.distortion is None else replace(self, distortion=None)

    def project(self, points: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Project points (..., 3) in the optical frame, metres, to pixels (..., 2).

        u = fx x/z + cx, v = fy y/z + cy, with x/z and y/z distorted by the lens. NaN behind the
        camera, and where the distortion model is not valid: further off the optical axis than
        `Distortion.reach`.
        """
        depth = points[..., 2:]
        ideal = points[..., :2] / np.where(depth > 0.0, depth, np.nan)
        if self.distortion is not None:
            ideal = self.distortion.distort(ideal)
        scale = np.array([self.fx, self.fy], np.float32)
        centre = np.array([self.cx, self.cy], np.float32)
        pixels: npt.NDArray[np.float32] = (ideal * scale + centre).astype(np.float32)
        return pixels

    def rays(self, pixels: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Return the rays of pixels (..., 2) as x/z and y/z (..., 2), the inverse of `project`.

        NaN where no point in front of the camera is projected to the pixel.
        """
        scale = np.array([self.fx, self.fy], np.float32)
        centre = np.array([self.cx, self.cy], np.float32)
        ideal = (pixels - centre) / scale
        if self.distortion is not None:
            ideal = self.distortion.undistort(ideal)
        rays: npt.NDArray[np.float32] = np.asarray(ideal, np.float32)
        return rays
