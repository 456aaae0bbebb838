# SPDX-License-Identifier: Apache-2.0
"""The floor as a plane in the camera's optical frame, with its uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera
from pear_ros.core.rigid_transform import RigidTransform

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GroundPlane:
    """The points x with normal . x = -height, in the camera's optical frame."""

    normal: Float64
    """(3,) unit vector, upwards."""
    height: float
    """Height of the camera above the floor, metres."""
    tilt_std: float
    """Standard deviation of the normal's direction about each horizontal axis, radians."""
    height_std: float
    """Standard deviation of the height, metres."""

    @classmethod
    def from_pose(cls, pose: RigidTransform, tilt_std: float, height_std: float) -> GroundPlane:
        """Return the plane z = 0 of a frame with z upwards, in which the camera has this `pose`."""
        return cls(pose.rotation[2], float(pose.translation[2]), tilt_std, height_std)

    @classmethod
    def from_tilt(
        cls, height: float, tilt: float, tilt_std: float, height_std: float
    ) -> GroundPlane:
        """Return the floor `height` metres below a camera that looks down by `tilt` radians.

        The image's rows are level: the camera does not roll.
        """
        normal = np.array([0.0, -math.cos(tilt), -math.sin(tilt)])
        return cls(normal, height, tilt_std, height_std)

    def below(self, points: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
        """Return how far `points` (..., 3) are below the camera along the normal (...,), metres."""
        depth: npt.NDArray[np.floating] = -(points @ self.normal.astype(points.dtype))
        return depth

    def is_seen_by(self, camera: Camera) -> bool:
        """Return whether a corner of the image of `camera` shows a point of the endless plane."""
        right, bottom = camera.width - 1, camera.height - 1
        corners = np.array([(0, 0), (right, 0), (0, bottom), (right, bottom)], np.float32)
        rays = np.column_stack([camera.rays(corners), np.ones(4)])
        return bool((self.below(rays) > 0.0).any())

    def rotated(self, axes: Float64) -> GroundPlane:
        """Return the same plane in a frame with the same origin: x' = `axes` (3, 3) x."""
        return replace(self, normal=axes @ self.normal)
