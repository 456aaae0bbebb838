# SPDX-License-Identifier: Apache-2.0
"""Points from which a scene is seen: beside people, above them, with the eye of the camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import viser

from pear_ros.core.camera import Camera
from pear_ros.core.rigid_transform import RigidTransform

Vector = npt.NDArray[np.float64]

FIELD_OF_VIEW = math.radians(50.0)
"""Vertical field of view of all views but the camera's own, radians."""
_UP = np.array([0.0, 0.0, 1.0])
_MARGIN = 1.15
_BESIDE = np.array([-0.75, 0.55, 0.32])
"""Direction from people to the eye: behind the camera, to its left, above."""


@dataclass(frozen=True)
class Viewpoint:
    """Where the eye is and what it looks at, in the world."""

    position: Vector
    """(3,) metres."""
    look_at: Vector
    """(3,) metres."""
    up: Vector
    """(3,) direction that is up in the picture."""
    fov: float = FIELD_OF_VIEW
    """Vertical field of view, radians."""

    def apply(self, eye: viser.CameraHandle) -> None:
        """Move the eye of a viewer here."""
        eye.up_direction = self.up
        eye.position = self.position
        eye.look_at = self.look_at
        eye.fov = self.fov


def beside(points: Vector, aspect: float) -> Viewpoint:
    """Return a point from which `points` (N, 3) are seen from the side of the camera, obliquely.

    `aspect`: width over height of the viewer's window.
    """
    centre, radius = _ball(points)
    direction = _BESIDE / np.linalg.norm(_BESIDE)
    return Viewpoint(centre + _distance(radius, aspect) * direction, centre, _UP)


def above(points: Vector, aspect: float) -> Viewpoint:
    """Return a point above `points` (N, 3); what is in front of the camera is up in the picture."""
    centre, radius = _ball(points)
    return Viewpoint(centre + _distance(radius, aspect) * _UP, centre, np.array([1.0, 0.0, 0.0]))


def through(camera: Camera, pose: RigidTransform, aspect: float) -> Viewpoint:
    """Return the camera's own eye, with its whole picture in the viewer's window.

    `pose`: of the optical frame in the world.
    """
    # The optical axis is not always in the middle: the window holds the wider half twice.
    half_width = max(camera.cx, camera.width - 1 - camera.cx) / camera.fx
    half_height = max(camera.cy, camera.height - 1 - camera.cy) / camera.fy
    fov = 2.0 * math.atan(max(half_height, half_width / aspect))
    ahead = pose.translation + 3.0 * pose.rotation[:, 2]
    return Viewpoint(pose.translation, ahead, -pose.rotation[:, 1], fov)


def _ball(points: Vector) -> tuple[Vector, float]:
    known = points[np.isfinite(points).all(axis=1)]
    if not len(known):
        return np.array([2.0, 0.0, 1.0]), 2.0
    low, high = known.min(axis=0), known.max(axis=0)
    return 0.5 * (low + high), max(0.5 * float(np.linalg.norm(high - low)), 0.8)


def _distance(radius: float, aspect: float) -> float:
    narrow = math.tan(0.5 * FIELD_OF_VIEW) * min(1.0, aspect)
    return _MARGIN * radius / narrow
