# SPDX-License-Identifier: Apache-2.0
"""Training samples: crops of rendered people as PEAR's network gets them, with the truth.

A sample is a function of seed and index alone, whichever process makes it.

The network's camera looks at the crop's centre from afar; the truth is in its frame. Its global
rotation is that of the scene turned back by the rotation from the optical axis to the centre's
viewing ray, as pear_ros.pear.placement turns predictions. Its camera is the one with which the
joints project best onto their true pixels, by least squares.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from pear_ros.body.kinematics import rotation_vectors
from pear_ros.body.normals import vertex_normals
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, Image
from pear_ros.pear.crop import INPUT_SIZE, crop_pixels, squares
from pear_ros.pear.placement import DISTANCE, FOCAL, JOINT_WEIGHTS, place, rotations_to
from pear_ros.rendering.raster import rasterize
from pear_ros.training.body_parts import BACKGROUND, UNKNOWN, vertex_parts
from pear_ros.training.renders import RenderStudio
from pear_ros.training.studio import SyntheticPerson

_LEAST_SHOWN = 0.1
"""Least share of a person's vertices within the picture."""
_CROP_CAMERA = Camera(INPUT_SIZE, INPUT_SIZE, FOCAL, FOCAL, INPUT_SIZE / 2, INPUT_SIZE / 2)
_PICTURES = ("*.jpg", "*.jpeg", "*.png")


@dataclass(frozen=True)
class Sample:
    """One crop with what is known of it; frames as in pear_ros.training.losses."""

    crop: npt.NDArray[np.uint8]
    """(256, 256, 3) BGR."""
    rotations: Array
    """(55, 3, 3)."""
    betas: Array
    expression: Array
    keypoints: Array
    """(55, 2) pixels of the crop."""
    camera: Array
    """(3,) tx, ty and s."""
    mask: Array
    """(S, S) 1 where the undressed body is, 0 where not, NaN where something hides it."""
    parts: npt.NDArray[np.int64]
    """(S, S) index into PARTS, BACKGROUND or UNKNOWN."""
    normals: Array
    """(S, S, 3) in the crop camera's frame; NaN where no body is seen."""
    colours: Array
    """(V, 3) of the dressed body as lit, BGR."""
    confidence: Array
    """(4,) weights of mask, parts, normals and colours."""


class SampleError(ValueError):
    """A sample cannot be made; the message has the reason."""


class SampleMaker:
    """Makes the samples of a seed."""

    def __init__(self, seed: int, size: int, backgrounds: Path | None = None) -> None:
        """`size`: pixels of a side of mask, parts and normals, a divisor of 256.

        `backgrounds`: folder of pictures without people (jpg or png); None: plain walls. Raises
        ValueError where it holds none.
        """
        self._seed, self._size = seed, size
        self._studio = RenderStudio(_photographs(backgrounds), animated=True)
        self._parts = vertex_parts(self._studio.body)

    def __call__(self, index: int) -> Sample:
        """Return a sample. Raises SampleError where hardly anything of the person is seen."""
        rng = np.random.default_rng([self._seed, index])
        person = self._studio.shoot(rng)
        box = _box(rng, person)
        image = with_camera_faults(rng, person.image)
        square = squares(box[None], person.camera.width, person.camera.height)
        if not np.isfinite(square).all():
            raise SampleError("the person's box is beyond the picture")
        return self._sample(person, image, square[0])

    def _sample(
        self, person: SyntheticPerson, image: Image, square: npt.NDArray[np.float64]
    ) -> Sample:
        x, y, side = square
        middle = np.array([[x + side / 2, y + side / 2]], np.float32)
        looking = rotations_to(person.camera.rays(middle).astype(np.float64))[0]
        rotations = person.rotations.astype(np.float32).copy()
        rotations[0] = looking.T @ rotations[0]
        keypoints = (person.camera.project(person.joints) - (x, y)) * (INPUT_SIZE / side)
        keypoints = keypoints.astype(np.float32)
        mask, parts, normals = self._maps(person, square, looking)
        return Sample(
            crop=crop_pixels(image, square[None])[0],
            rotations=rotations,
            betas=person.betas,
            expression=person.expression,
            keypoints=keypoints,
            camera=self._camera(rotations, person, keypoints),
            mask=mask,
            parts=parts,
            normals=normals,
            colours=person.colours.astype(np.float32),
            confidence=np.ones(4, np.float32),
        )

    def _camera(self, rotations: Array, person: SyntheticPerson, keypoints: Array) -> Array:
        pose = rotation_vectors(rotations)[None]
        none = np.zeros((1, 3), np.float32)
        joints = self._studio.body.joints(pose, person.betas[None], person.expression[None], none)
        tx, ty, tz = place(joints, keypoints[None], _CROP_CAMERA, JOINT_WEIGHTS)[0]
        if not tz > 0.0:  # NaN, too.
            raise SampleError("the camera is too near for the network's")
        return np.array([-tx, -ty, DISTANCE / tz], np.float32)

    def _maps(
        self,
        person: SyntheticPerson,
        square: npt.NDArray[np.float64],
        looking: npt.NDArray[np.float64],
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
        turned = shown @ looking.astype(np.float32)  # looking' n, row by row.
        normals[raster.pixel] = turned / np.linalg.norm(turned, axis=1, keepdims=True)
        unknown = _unknown(person, square, size)
        mask[unknown], parts[unknown], normals[unknown] = np.nan, UNKNOWN, np.nan
        square_shape = (size, size)
        return (
            mask.reshape(square_shape),
            parts.reshape(square_shape),
            normals.reshape(*square_shape, 3),
        )


def with_camera_faults(rng: np.random.Generator, image: Image) -> Image:
    """Return the picture with motion blur, coarse JPEG and a cast of colour, each at times."""
    if rng.random() < 0.2:
        length, angle = rng.integers(3, 10), rng.uniform(0, np.pi)
        image = np.asarray(cv2.filter2D(image, -1, _streak(int(length), angle)), np.uint8)
    if rng.random() < 0.3:
        cast = image * rng.uniform(0.8, 1.2, 3)
        image = np.clip(cast, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
        image = np.asarray(
            cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR), np.uint8
        )
    return image


def stacked(samples: list[Sample]) -> dict[str, npt.NDArray[np.generic]]:
    """Return the arrays of samples, by field, with a first axis of samples."""
    return {f.name: np.stack([getattr(s, f.name) for s in samples]) for f in fields(Sample)}


def _streak(length: int, angle: float) -> Array:
    """Kernel (n, n) of a camera that moves by `length` pixels in the direction `angle`."""
    side = length | 1
    kernel = np.zeros((side, side), np.float32)
    along = np.linspace(-0.5, 0.5, 4 * side) * (length - 1)
    middle = side // 2
    columns = np.round(middle + along * np.cos(angle)).astype(int)
    kernel[np.round(middle + along * np.sin(angle)).astype(int), columns] = 1.0
    return np.asarray(kernel / kernel.sum(), np.float32)


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


def _zoomed(camera: Camera, square: npt.NDArray[np.float64], size: int) -> Camera:
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


def _unknown(
    person: SyntheticPerson, square: npt.NDArray[np.float64], size: int
) -> npt.NDArray[np.bool_]:
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
