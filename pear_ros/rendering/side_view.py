# SPDX-License-Identifier: Apache-2.0
"""Side view: people's meshes in an orthographic projection along the camera's x axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, Image
from pear_ros.rendering.colours import PAPER
from pear_ros.rendering.raster import Faces
from pear_ros.rendering.shading import blend_people

_INK = (90, 90, 90)
_LINE = (225, 225, 225)
_FAR = 1000.0
"""Metres between the pinhole that draws the view and the people: nearly parallel rays."""
_FONT = cv2.FONT_HERSHEY_SIMPLEX


@dataclass(frozen=True)
class SideWindow:
    """The part of space that a side view shows, metres in the optical frame."""

    near: float
    """Least z in the window, metres."""
    far: float
    """Greatest z in the window, metres."""
    top: float
    """Least y in the window, metres; y points down."""
    bottom: float
    """Greatest y in the window, metres."""

    @classmethod
    def containing(cls, points: Array, margin: float = 0.1) -> SideWindow:
        """Return the smallest window of whole half metres around points (..., 3), with a margin.

        `points` and `margin` in metres.
        """
        low = points.reshape(-1, 3).min(axis=0) - margin
        high = points.reshape(-1, 3).max(axis=0) + margin
        down, up = np.floor(2.0 * low) / 2.0, np.ceil(2.0 * high) / 2.0
        return cls(float(down[2]), float(up[2]), float(down[1]), float(up[1]))

    def union(self, other: SideWindow) -> SideWindow:
        """Return the smallest window that contains this one and `other`."""
        return SideWindow(
            min(self.near, other.near),
            max(self.far, other.far),
            min(self.top, other.top),
            max(self.bottom, other.bottom),
        )


def draw_side_view(
    meshes: Array,
    faces: Faces,
    ids: Sequence[str],
    height: int,
    width: int,
    window: SideWindow | None = None,
) -> Image:
    """Draw people from the side, without perspective; the camera is to the left, looking right.

    Returns (height, width, 3) uint8 BGR. `meshes` (N, V, 3) in the optical frame, metres; `faces`
    (F, 3) of one mesh; `ids` are N track ids, which choose the colours. The view shows what an
    overlay cannot: who faces the camera, leans or floats. The grid has metres of depth along the
    bottom and of height above the camera along the left. `window` keeps the scale from picture to
    picture; without it the window contains all of them.
    """
    picture = np.full((height, width, 3), PAPER, np.uint8)
    if window is None:
        window = SideWindow.containing(meshes) if len(ids) else SideWindow(0.0, 4.0, -2.0, 2.0)
    unit = max(1.0, height / 1000.0)
    left, bottom, border = 44 * unit, 34 * unit, 8 * unit
    deep, high = window.far - window.near, window.bottom - window.top
    room = width - left - border, height - bottom - border
    scale = min(room[0] / deep, room[1] / high)
    u0 = left + 0.5 * (room[0] - scale * deep) - scale * window.near
    v0 = border + 0.5 * (room[1] - scale * high) - scale * window.top
    _draw_grid(picture, u0, v0, scale, unit)
    if len(ids):
        # Rotated by a quarter about y, and scaled against the pinhole's division: orthographic.
        depth = _FAR - meshes[..., 0]
        nearly_one = depth / np.float32(_FAR)
        turned = np.stack([meshes[..., 2] * nearly_one, meshes[..., 1] * nearly_one, depth], -1)
        camera = Camera(width, height, scale * _FAR, scale * _FAR, u0, v0)
        blend_people(picture, camera, turned, faces, ids, 1.0)
    return picture


def side_width(height: int) -> int:
    """Return the width, pixels, of a side view beside a picture of `height` pixels."""
    return max(320, round(0.8 * height))


def _draw_grid(picture: Image, u0: float, v0: float, scale: float, unit: float) -> None:
    """Draw lines and ticks in metres; (u0, v0) is the camera's place, `scale` pixels per metre.

    `unit` enlarges text and margins.
    """
    height, width = picture.shape[:2]
    pixels = 45.0 * unit
    step = next((metres for metres in (0.5, 1.0, 2.0, 5.0, 10.0) if metres * scale >= pixels), 50.0)

    def write(text: str, u: float, v: float) -> None:
        place = round(u), round(v)
        cv2.putText(picture, text, place, _FONT, 0.4 * unit, _INK, round(unit), cv2.LINE_AA)

    for tick in range(math.ceil(-u0 / scale / step), math.floor((width - u0) / scale / step) + 1):
        u = round(u0 + tick * step * scale)
        cv2.line(picture, (u, 0), (u, round(height - 30 * unit)), _LINE, 1)
        write(f"{tick * step:g}", u - 6 * unit, height - 18 * unit)
    for tick in range(math.ceil(-v0 / scale / step), math.floor((height - v0) / scale / step) + 1):
        v = round(v0 + tick * step * scale)
        cv2.line(picture, (round(38 * unit), v), (width, v), _LINE, 1)
        write(f"{-tick * step:g}", 4 * unit, v + 4 * unit)
    write("seen from the side: depth, height [m]", 44 * unit, height - 4 * unit)
