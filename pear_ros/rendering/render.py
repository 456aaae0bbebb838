# SPDX-License-Identifier: Apache-2.0
"""Pictures of people: meshes drawn over a camera image, and the same meshes seen from the side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from pear_ros.body.normals import vertex_normals
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, Image
from pear_ros.rendering.colours import id_colour
from pear_ros.rendering.raster import Faces, Raster, rasterize

__all__ = [
    "Raster",
    "SideWindow",
    "contact_sheet",
    "draw_overlay",
    "draw_side_view",
    "rasterize",
    "shade",
    "side_width",
]

_LIGHT = (-0.35, -0.45, -1.0)
"""Towards the light in the optical frame: behind the camera, to the upper left."""


def shade(
    raster: Raster,
    vertices: Array,
    faces: Faces,
    colours: npt.ArrayLike,
    *,
    light: Sequence[float] = _LIGHT,
    ambient: float = 0.45,
) -> Array:
    """(K, 3) colours of the pixels that a raster covers, lit smoothly.

    `colours` is one colour (3,) or one per vertex (V, 3), in any order of channels and any scale;
    the result has the same, for `image.reshape(-1, 3)[raster.pixel]`. A surface that faces `light`
    (a direction in the camera's optical frame, towards the light) keeps its colour, one turned away
    has `ambient` times it.
    """
    towards = np.asarray(light, np.float32)
    towards = towards / np.linalg.norm(towards)
    cosine = np.maximum(vertex_normals(vertices, faces) @ towards, 0.0)
    brightness = np.float32(ambient) + np.float32(1.0 - ambient) * cosine
    lit = np.asarray(colours, np.float32) * brightness[:, None]
    return raster.interpolate(lit, faces)


def draw_overlay(
    image: Image,
    camera: Camera,
    meshes: Array,
    faces: Faces,
    ids: Sequence[str],
    *,
    opacity: float = 0.85,
) -> Image:
    """A copy of `image` with the meshes (N, V, 3) of people drawn over it, each with its id.

    `meshes` are in the optical frame of `camera`, whose size is the image's; `faces` (F, 3) are
    those of one mesh; `ids` are N track ids, which also choose the colours.
    """
    result = image.copy()
    if not len(ids):
        return result
    raster = _blend(result, camera, meshes, faces, ids, opacity)
    owner = raster.face // len(faces)
    for person, track_id in enumerate(ids):
        topmost = int(np.argmax(owner == person)) if len(owner) else 0
        if len(owner) and owner[topmost] == person:
            row, column = divmod(int(raster.pixel[topmost]), raster.width)
            _label_person(result, track_id, column, row)
    return result


@dataclass(frozen=True)
class SideWindow:
    """The part of space that a side view shows, metres in the optical frame."""

    near: float
    far: float
    top: float
    """Least y: y points down."""
    bottom: float

    @classmethod
    def containing(cls, points: Array, margin: float = 0.1) -> SideWindow:
        """The smallest window of whole half metres around points (..., 3), with a margin."""
        low = points.reshape(-1, 3).min(axis=0) - margin
        high = points.reshape(-1, 3).max(axis=0) + margin
        down, up = np.floor(2.0 * low) / 2.0, np.ceil(2.0 * high) / 2.0
        return cls(float(down[2]), float(up[2]), float(down[1]), float(up[1]))

    def union(self, other: SideWindow) -> SideWindow:
        """The smallest window around both."""
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
    """People seen from the side, without perspective: the camera is to the left, looking right.

    It shows what an overlay cannot: who faces the camera, leans or floats. The grid has metres of
    depth along the bottom and of height above the camera along the left. `window` keeps the scale
    from picture to picture; without it everyone is made to fit.
    """
    picture = np.full((height, width, 3), _PAPER, np.uint8)
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
        # Turned by a quarter about y, and scaled against the pinhole's division: orthographic.
        depth = _FAR - meshes[..., 0]
        nearly_one = depth / np.float32(_FAR)
        turned = np.stack([meshes[..., 2] * nearly_one, meshes[..., 1] * nearly_one, depth], -1)
        camera = Camera(width, height, scale * _FAR, scale * _FAR, u0, v0)
        _blend(picture, camera, turned, faces, ids, 1.0)
    return picture


def side_width(height: int) -> int:
    """Width that suits a side view set beside a picture of `height` pixels."""
    return max(320, round(0.8 * height))


def contact_sheet(images: Sequence[Image], columns: int, tile_width: int = 640) -> Image:
    """Pictures of one size, scaled to `tile_width` and set in rows of `columns`.

    Raises ValueError when there are no pictures or their sizes differ.
    """
    if not images or any(image.shape != images[0].shape for image in images):
        raise ValueError("a contact sheet needs at least one picture, and all of one size")
    tile_height = max(1, round(images[0].shape[0] * tile_width / images[0].shape[1]))
    rows = math.ceil(len(images) / columns)
    gap = 4
    sheet = np.full(
        (rows * (tile_height + gap) - gap, columns * (tile_width + gap) - gap, 3), _PAPER, np.uint8
    )
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        y, x = row * (tile_height + gap), column * (tile_width + gap)
        tile = cv2.resize(image, (tile_width, tile_height), interpolation=cv2.INTER_AREA)
        sheet[y : y + tile_height, x : x + tile_width] = tile
    return sheet


_PAPER = 246
_INK = (90, 90, 90)
_LINE = (225, 225, 225)
_FAR = 1000.0
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def _blend(
    picture: Image, camera: Camera, meshes: Array, faces: Faces, ids: Sequence[str], opacity: float
) -> Raster:
    """Draw meshes into `picture`, in the colours of their ids and with softened outlines."""
    count, size = meshes.shape[:2]
    vertices = np.ascontiguousarray(meshes.reshape(-1, 3), np.float32)
    joined = (faces[None] + size * np.arange(count)[:, None, None]).reshape(-1, 3)
    raster = rasterize(vertices, joined, camera)
    bgr = np.array([id_colour(track_id)[::-1] for track_id in ids], np.float32) * 255.0
    colours = shade(raster, vertices, joined, np.repeat(bgr, size, axis=0))

    covered = np.zeros(raster.height * raster.width, np.uint8)
    covered[raster.pixel] = 255
    coverage = cv2.blur(covered.reshape(raster.height, raster.width), (3, 3)).reshape(-1)
    alpha = coverage.take(raster.pixel)[:, None] * np.float32(opacity / 255.0)
    flat = picture.reshape(-1, 3)
    below = flat.take(raster.pixel, axis=0)
    flat[raster.pixel] = (below + alpha * (colours - below)).astype(np.uint8)
    return raster


def _label_person(picture: Image, track_id: str, column: int, row: int) -> None:
    """Write the id on a tag of its colour above a person's topmost pixel, inside the picture."""
    scale = max(0.45, picture.shape[0] / 1600.0)
    (width, height), below = cv2.getTextSize(track_id, _FONT, scale, 1)
    width, height = width + 8, height + below + 4
    x = min(max(column - width // 2, 0), max(picture.shape[1] - width, 0))
    y = max(row - height - 4, 0)
    dark = [round(140 * channel) for channel in id_colour(track_id)[::-1]]
    cv2.rectangle(picture, (x, y), (x + width - 1, y + height - 1), dark, cv2.FILLED)
    place = (x + 4, y + height - below - 2)
    cv2.putText(picture, track_id, place, _FONT, scale, (255, 255, 255), 1, cv2.LINE_AA)


def _draw_grid(picture: Image, u0: float, v0: float, scale: float, unit: float) -> None:
    """Lines and ticks in metres; (u0, v0) is the camera's place, `scale` pixels per metre.

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
