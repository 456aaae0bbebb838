# SPDX-License-Identifier: Apache-2.0
"""Lit meshes: the colours of what a camera sees of them, and their blending into a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from pear_ros.body.normals import vertex_normals
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, Image
from pear_ros.rendering.colours import id_colour
from pear_ros.rendering.raster import Faces, Raster, rasterize

_LIGHT = (-0.35, -0.45, -1.0)
"""Direction towards the light in the optical frame: behind the camera, to the upper left."""


def shade(
    raster: Raster,
    vertices: Array,
    faces: Faces,
    colours: npt.ArrayLike,
    *,
    light: Sequence[float] = _LIGHT,
    ambient: float = 0.45,
) -> Array:
    """Return the colours (K, 3) of the K pixels that a raster covers, by Gouraud shading.

    `vertices` (V, 3) and `faces` (F, 3) are those of the raster's mesh. `colours` is one colour
    (3,) or one per vertex (V, 3), in any order of channels and any scale; the result has the same,
    for `image.reshape(-1, 3)[raster.pixel]`. A surface that faces `light` (a direction in the
    camera's optical frame, towards the light) keeps its colour, one turned away has `ambient` times
    it.
    """
    towards = np.asarray(light, np.float32)
    towards = towards / np.linalg.norm(towards)
    cosine = np.maximum(vertex_normals(vertices, faces) @ towards, 0.0)  # (V,)
    brightness = np.float32(ambient) + np.float32(1.0 - ambient) * cosine
    lit = np.asarray(colours, np.float32) * brightness[:, None]  # (V, 3)
    return raster.interpolate(lit, faces)


def blend_people(
    picture: Image,
    camera: Camera,
    meshes: Array,
    faces: Faces,
    ids: Sequence[str],
    opacity: npt.ArrayLike,
) -> Raster:
    """Draw meshes into `picture` in the colours of their ids, with anti-aliased outlines.

    `meshes` (N, V, 3) in the optical frame of `camera`, metres; `faces` (F, 3) of one mesh; `ids`
    are N track ids; `opacity` 0 to 1, one for all or (N,). Returns the raster of all meshes as one:
    triangle `f` belongs to person `f // F`.
    """
    count, size = meshes.shape[:2]
    vertices = np.ascontiguousarray(meshes.reshape(-1, 3), np.float32)
    all_faces = (faces[None] + size * np.arange(count)[:, None, None]).reshape(-1, 3)
    raster = rasterize(vertices, all_faces, camera)
    bgr = np.array([id_colour(track_id)[::-1] for track_id in ids], np.float32) * 255.0
    colours = shade(raster, vertices, all_faces, np.repeat(bgr, size, axis=0))

    covered = np.zeros(raster.height * raster.width, np.uint8)
    covered[raster.pixel] = 255
    coverage = cv2.blur(covered.reshape(raster.height, raster.width), (3, 3)).reshape(-1)
    opaque = np.broadcast_to(np.asarray(opacity, np.float32) / np.float32(255.0), (count,))
    alpha = (coverage.take(raster.pixel) * opaque[raster.face // len(faces)])[:, None]
    flat = picture.reshape(-1, 3)
    below = flat.take(raster.pixel, axis=0)
    flat[raster.pixel] = (below + alpha * (colours - below)).astype(np.uint8)
    return raster
