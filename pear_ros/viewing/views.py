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
_LEAST_METRES = 0.8
"""Half of the least size of what is seen from beside or above."""
_NOBODY = np.array([[0.5, -1.5, 0.0], [3.5, 1.5, 2.0]])
"""Corners of what is seen before there are people, metres."""
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

    def shows(self, points: Vector, window: Window) -> bool:
        """Return whether all `points` (N, 3) are in the free part of a window."""
        forward, right, top = _directions(self.look_at - self.position, self.up)
        x, y, depth = ((points - self.position) @ np.stack([right, top, forward], axis=1)).T
        half = math.tan(0.5 * self.fov) * depth  # height of what is seen at each depth
        low, high = -window.aspect * half, (2.0 * window.free - 1.0) * window.aspect * half
        bottom = (1.0 - 2.0 * window.free_height) * half
        return bool(((depth > 0.0) & (low <= x) & (x <= high) & (bottom <= y) & (y <= half)).all())

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

    @property
    def wide(self) -> bool:
        """Whether the free part is wider than high."""
        return self.aspect * self.free > self.free_height

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
    """Return the point from which `points` (N, 3) fill the free part of the window."""
    forward, right, top = _directions(forward, up)
    known = points[np.isfinite(points).all(axis=1)]
    if not len(known):
        known = _NOBODY
    middle = 0.5 * (known.min(axis=0) + known.max(axis=0))
    x, y, ahead = ((known - middle) @ np.stack([right, top, forward], axis=1)).T
    tangent = math.tan(0.5 * FIELD_OF_VIEW)
    wide, high = tangent * window.aspect * window.free, tangent * window.free_height
    # The middle of the free part is aside of the window's: by so much at a distance of 1.
    aside = tangent * window.aspect * (1.0 - window.free)
    below = tangent * (1.0 - window.free_height)
    distance = max(
        _MARGIN * _LEAST_METRES / min(wide, high),
        float((_LEAST_METRES - ahead).max()),
        float((_MARGIN * np.abs(x + aside * ahead) / wide - ahead).max()),
        float((_MARGIN * np.abs(y - below * ahead) / high - ahead).max()),
    )
    at = middle + distance * (aside * right - below * top)
    return Viewpoint(at - distance * forward, at, up)


def _directions(forward: Vector, up: Vector) -> tuple[Vector, Vector, Vector]:
    """Return unit vectors (3,) forward, to the right and up in a picture."""
    ahead = forward / np.linalg.norm(forward)
    right = np.cross(ahead, up)
    right = right / np.linalg.norm(right)
    return ahead.astype(float), right.astype(float), np.cross(right, ahead).astype(float)


def through(camera: Camera, pose: RigidTransform, window: Window) -> Viewpoint:
    """Return the camera's own eye, with its whole picture in the window, above a panel at its foot.

    `pose`: of the optical frame in the world. A panel at the right covers a part of the picture.
    """
    # The optical axis is not always in the middle: the window holds the wider half twice.
    half_width = max(camera.cx, camera.width - 1 - camera.cx) / camera.fx
    half_height = max(camera.cy, camera.height - 1 - camera.cy) / camera.fy
    above_panel = 2.0 * window.free_height - 1.0  # The optical axis stays in the middle.
    fov = 2.0 * math.atan(max(half_height / above_panel, half_width / window.aspect))
    ahead = pose.translation + 3.0 * pose.rotation[:, 2]
    return Viewpoint(pose.translation, ahead, -pose.rotation[:, 1], fov)
