# SPDX-License-Identifier: Apache-2.0
"""Overlay: people's meshes drawn over the camera image, each labelled with its track id."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import cv2
import numpy as np

from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, Image
from pear_ros.rendering.colours import FAINT, id_colour
from pear_ros.rendering.raster import Faces
from pear_ros.rendering.shading import blend_people

_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw_overlay(
    image: Image,
    camera: Camera,
    meshes: Array,
    faces: Faces,
    ids: Sequence[str],
    *,
    opacity: float = 0.85,
    faint: Collection[str] = (),
) -> Image:
    """Return a copy of `image` with people's meshes drawn over it, each labelled with its id.

    `image` (height, width, 3) uint8 BGR; `meshes` (N, V, 3) in the optical frame of `camera`,
    metres, whose size is the image's; `faces` (F, 3) are those of one mesh; `ids` are N track ids,
    which also choose the colours; `opacity` 0 to 1. Meshes of `faint` ids are more translucent:
    people whose body was not observed.
    """
    result = image.copy()
    if not len(ids):
        return result
    opacities = [opacity * (FAINT if track_id in faint else 1.0) for track_id in ids]
    raster = blend_people(result, camera, meshes, faces, ids, opacities)
    owner = raster.face // len(faces)  # (K,) index of the person at each covered pixel
    for person, track_id in enumerate(ids):
        topmost = int(np.argmax(owner == person)) if len(owner) else 0
        if len(owner) and owner[topmost] == person:
            row, column = divmod(int(raster.pixel[topmost]), raster.width)
            _label_person(result, track_id, column, row)
    return result


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
