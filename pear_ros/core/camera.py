# SPDX-License-Identifier: Apache-2.0
"""The camera with which people are placed in space and projected into the image."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pear_ros.core.distortion import Distortion


class IntrinsicsSource(enum.IntEnum):
    """Where intrinsics come from; the numbers are those of pear_msgs/HumanArray."""

    CAMERA_INFO = 1
    FIELD_OF_VIEW = 2


@dataclass(frozen=True)
class Camera:
    """Intrinsics in pixels; integer pixel coordinates are pixel centres."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    source: IntrinsicsSource = IntrinsicsSource.CAMERA_INFO
    distortion: Distortion | None = None
    """How the image differs from a pinhole's; None: not at all."""

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

    @cached_property
    def pinhole(self) -> Camera:
        """The same camera without distortion, for work in ideal pixels."""
        return self if self.distortion is None else replace(self, distortion=None)

    def project(self, points: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """Pixels (..., 2) of points (..., 3) in the optical frame, in the image as it is.

        NaN behind the camera, and where the distortion model is of no use: further off the optical
        axis than `Distortion.reach`.
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
        """(..., 2) x/z and y/z of what is seen at pixels (..., 2) of the image as it is.

        The inverse of `project`; NaN where a lens shows nothing from before the camera.
        """
        scale = np.array([self.fx, self.fy], np.float32)
        centre = np.array([self.cx, self.cy], np.float32)
        ideal = (pixels - centre) / scale
        if self.distortion is not None:
            ideal = self.distortion.undistort(ideal)
        rays: npt.NDArray[np.float32] = np.asarray(ideal, np.float32)
        return rays
