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
PHONE_PIXELS = 600
"""Width of a window from which on the page's panel is at its right."""
_PANEL_PIXELS = 340
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


@dataclass(frozen=True)
class Window:
    """A viewer's window."""

    aspect: float
    """Width over height."""
    free: float = 1.0
    """Part of the width that is left of the page's panel."""
    free_height: float = 1.0
    """Part of the height that is above the page's panel."""

    @classmethod
    def of(cls, eye: viser.CameraHandle) -> Window:
        """Return the window of a viewer; the panel of a phone is below, not at the right."""
        width = max(eye.image_width, 1)
        if width < PHONE_PIXELS:
            return cls(eye.aspect, free_height=0.6)
        return cls(eye.aspect, free=1.0 - _PANEL_PIXELS / width)


def beside(points: Vector, window: Window) -> Viewpoint:
    """Return a point from which `points` (N, 3) are seen from the side of the camera, obliquely."""
    return _facing(points, window, -_BESIDE / np.linalg.norm(_BESIDE), _UP)


def above(points: Vector, window: Window) -> Viewpoint:
    """Return a point above `points` (N, 3); what is in front of the camera is up in the picture."""
    return _facing(points, window, -_UP, np.array([1.0, 0.0, 0.0]))


def _facing(points: Vector, window: Window, forward: Vector, up: Vector) -> Viewpoint:
    """Return the point from which `points` fill the free part of the window."""
    centre, radius = _ball(points)
    tangent = math.tan(0.5 * FIELD_OF_VIEW)
    narrow = min(window.free_height, window.aspect * window.free)
    distance = _MARGIN * radius / (tangent * narrow)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    aside = (1.0 - window.free) * window.aspect * right
    below = (1.0 - window.free_height) * np.cross(forward, right)
    at = centre + tangent * distance * (aside + below)
    return Viewpoint(at - distance * forward, at, up)


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
