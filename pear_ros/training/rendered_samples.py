# SPDX-License-Identifier: Apache-2.0
"""Samples of rendered people, of whom everything is known."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pear_ros.body.normals import vertex_normals
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, Image
from pear_ros.pear.body import PearBody, body_joints
from pear_ros.pear.crop import INPUT_SIZE, crop_pixels, crop_points, squares
from pear_ros.rendering.raster import rasterize
from pear_ros.training.bodies import parameters_of, surface
from pear_ros.training.body_parts import BACKGROUND, UNKNOWN, vertex_parts
from pear_ros.training.camera_faults import with_camera_faults
from pear_ros.training.renders import RenderStudio
from pear_ros.training.sample import (
    Sample,
    SampleError,
    Square,
    crop_camera,
    viewing_rotation,
)
from pear_ros.training.studio import SyntheticPerson

_LEAST_SHOWN = 0.1
"""Least share of a person's vertices within the picture."""
_PICTURES = ("*.jpg", "*.jpeg", "*.png")


class RenderedSamples:
    """Renders people and cuts them out, each time another one."""

    def __init__(self, body: PearBody, size: int, backgrounds: Path | None = None) -> None:
        """Render people of `body`.

        `size`: pixels of a side of mask, parts and normals, a divisor of 256.

        `backgrounds`: folder of pictures without people (jpg or png); None: plain walls. Raises
        ValueError where it holds none.
        """
        self._size = size
        self._studio = RenderStudio(_photographs(backgrounds), body, animated=True)
        self._parts = vertex_parts(surface(body))

    def __call__(self, rng: np.random.Generator) -> Sample:
        """Return a sample. Raises SampleError where hardly anything of the person is seen."""
        person = self._studio.shoot(rng)
        box = _box(rng, person)
        image = with_camera_faults(rng, person.image)
        square = squares(box[None], person.camera.width, person.camera.height)
        if not np.isfinite(square).all():
            raise SampleError("the person's box is beyond the picture")
        return self._sample(person, image, square[0])

    def _sample(self, person: SyntheticPerson, image: Image, square: Square) -> Sample:
        turn = viewing_rotation(person.camera, square)
        rotations = person.rotations.astype(np.float32).copy()
        rotations[0] = turn.T @ rotations[0]
        keypoints = crop_points(person.camera.project(person.joints), square)
        one = (a[None] for a in (rotations, person.betas, person.expression, person.flame))
        joints = body_joints(self._studio.body, parameters_of(self._studio.body, *one))[0]
        mask, parts, normals = self._maps(person, square, turn)
        return Sample(
            crop=crop_pixels(image, square[None])[0],
            rotations=rotations,
            betas=person.betas,
            expression=person.expression,
            flame=person.flame,
            keypoints=keypoints,
            camera=crop_camera(joints, keypoints),
            joint_weights=np.ones(len(rotations), np.float32),
            mask=mask,
            parts=parts,
            normals=normals,
            colours=person.colours.astype(np.float32),
            confidence=np.ones(4, np.float32),
        )

    def _maps(
        self,
        person: SyntheticPerson,
        square: Square,
        turn: npt.NDArray[np.float64],
    ) -> tuple[Array, npt.NDArray[np.int64], Array]:
        """Mask, parts and normals of what the square shows, in S x S pixels."""
        body, size = self._studio.body, self._size
        faces = body.faces_of("medium")
        raster = rasterize(person.vertices, faces, _zoomed(person.camera, square, size))
        mask = np.zeros(size * size, np.float32)
        parts = np.full(size * size, BACKGROUND, np.int64)
        normals = np.full((size * size, 3), np.nan, np.float32)
        mask[raster.pixel] = 1.0
        nearest = faces[raster.face, raster.barycentric.argmax(axis=1)]
        parts[raster.pixel] = self._parts[nearest]
        shown = raster.interpolate(vertex_normals(person.vertices, faces), faces)
        turned = shown @ turn.astype(np.float32)  # turn' n, row by row.
        normals[raster.pixel] = turned / np.linalg.norm(turned, axis=1, keepdims=True)
        unknown = _unknown(person, square, size)
        mask[unknown], parts[unknown], normals[unknown] = np.nan, UNKNOWN, np.nan
        square_shape = (size, size)
        return (
            mask.reshape(square_shape),
            parts.reshape(square_shape),
            normals.reshape(*square_shape, 3),
        )


def _box(rng: np.random.Generator, person: SyntheticPerson) -> Array:
    """Box (4,) of what the picture shows of a person, as inaccurate as a detector's."""
    camera = person.camera
    pixels = camera.project(person.vertices)
    last = np.array([camera.width - 1, camera.height - 1])
    with np.errstate(invalid="ignore"):
        shown = ((pixels >= 0) & (pixels <= last)).all(axis=1)
    if shown.mean() < _LEAST_SHOWN:
        raise SampleError("hardly anything of the person is in the picture")
    box = np.concatenate([pixels[shown].min(axis=0), pixels[shown].max(axis=0)])
    box += rng.normal(0, 0.03, 4) * (box[2:] - box[:2]).max()
    jittered: Array = box.astype(np.float32)
    return jittered


def _zoomed(camera: Camera, square: Square, size: int) -> Camera:
    """Camera of the square in `size` pixels a side, each the middle of some of the crop's."""
    x, y, side = square
    step = INPUT_SIZE // size
    zoom = INPUT_SIZE / side / step
    offset = (step - 1) / 2 / step
    return Camera(
        size,
        size,
        camera.fx * zoom,
        camera.fy * zoom,
        (camera.cx - x) * zoom - offset,
        (camera.cy - y) * zoom - offset,
    )


def _unknown(person: SyntheticPerson, square: Square, size: int) -> npt.NDArray[np.bool_]:
    """(S * S,) whether a pixel is beyond the picture, or something stands before the person."""
    x, y, side = square
    step = INPUT_SIZE // size
    along = (np.arange(size) * step + (step - 1) / 2) * (side / INPUT_SIZE)
    columns, rows = np.round(x + along).astype(int), np.round(y + along).astype(int)
    inside = (rows >= 0) & (rows < person.camera.height)
    across = (columns >= 0) & (columns < person.camera.width)
    unknown: npt.NDArray[np.bool_] = ~(inside[:, None] & across)
    if person.hidden is not None:
        clipped = np.ix_(
            np.clip(rows, 0, person.camera.height - 1),
            np.clip(columns, 0, person.camera.width - 1),
        )
        unknown |= person.hidden[clipped]
    return unknown.ravel()


def _photographs(folder: Path | None) -> list[Image]:
    if folder is None:
        return []
    paths = sorted(path for pattern in _PICTURES for path in folder.glob(pattern))
    read = [cv2.imread(str(path), cv2.IMREAD_COLOR) for path in paths]
    found = [np.asarray(image, np.uint8) for image in read if image is not None]
    if not found:
        raise ValueError(f"{folder} holds no picture (jpg or png) that can be read")
    return found
