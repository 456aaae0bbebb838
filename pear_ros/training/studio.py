# SPDX-License-Identifier: Apache-2.0
"""Pictures of dressed people of exactly known pose, shape and camera.

They train networks and measure the fit: whatever is claimed about 3D is held against them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.body import BodyModel, load_open_body
from pear_ros.body.kinematics import rotation_matrices
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, Image
from pear_ros.rendering.raster import rasterize
from pear_ros.training.poses import FACING_CAMERA, Random, from_degrees, sample_rotations
from pear_ros.training.wardrobe import Wardrobe, random_colour


@dataclass(frozen=True)
class SyntheticPerson:
    """One picture and the truth about it."""

    image: Image
    camera: Camera
    kind: str
    yaw: float
    """Degrees about the vertical: 0 faces the camera, 90 shows the right side, 180 the back."""
    rotations: Array
    """(55, 3, 3) joint rotations; the first turns body axes into the optical frame."""
    betas: Array
    expression: Array
    flame: Array
    """(F,) FLAME's parameters, see pear_ros.training.bodies."""
    joints: Array
    """(55, 3) in the optical frame, metres."""
    vertices: Array
    """(V, 3) of the undressed body in the optical frame, metres."""
    colours: Array
    """(V, 3) colours of the dressed body as lit, BGR from 0, before blur, exposure and noise."""
    hidden: npt.NDArray[np.bool_] | None = None
    """(height, width) whether something stands before the person; None where nothing does."""


class SyntheticStudio:
    """Draws people, dresses them and takes their picture before a random background."""

    def __init__(
        self, photographs: list[Image] | None = None, body: BodyModel | None = None
    ) -> None:
        """`photographs`: pictures without people, of which pieces serve as backgrounds.

        `body`: by default the open one.
        """
        self.body = body or load_open_body()
        self._wardrobe = Wardrobe(self.body)
        self._photographs = photographs or []

    def shoot(
        self,
        rng: Random,
        kind: str,
        yaw: float,
        size: tuple[int, int] = (480, 480),
        margin: float = 1.35,
        close_up: bool = False,
    ) -> SyntheticPerson:
        """One person turned by `yaw` degrees, in an image of `size` (width, height).

        The camera's focal length (0.8 to 2 image widths), height and tilt are random; the person
        fills 1 / `margin` of the image at most and, below 1, is cut by the image's edge.
        A close-up shows the head and some of the body below it, as a camera on a desk does.
        """
        width, height = size
        focal = width * rng.uniform(0.8, 2.0)
        camera = Camera(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)
        rotations = sample_rotations(rng, kind)
        pitch, roll = rng.normal(0, 12), rng.normal(0, 3)
        view = from_degrees([pitch, 0, 0]) @ from_degrees([0, 0, roll]) @ FACING_CAMERA
        rotations[0] = view @ from_degrees([0, yaw, 0]) @ rotations[0]
        betas = np.clip(rng.normal(0, 1, self.body.num_betas), -2.5, 2.5).astype(np.float32)
        expression = np.zeros(self.body.num_expression, np.float32)
        pose = Rotation.from_matrix(rotations).as_rotvec().astype(np.float32)
        arguments = (pose[None], betas[None], expression[None])
        origin = np.zeros((1, 3), np.float32)
        centred = self.body.vertices(*arguments, origin)[0]
        framed = centred
        if close_up:
            framed = centred[self.body.v_template[:, 1] > rng.uniform(-0.4, 0.35)]
        transl = self.place(rng, camera, framed, margin)
        vertices = centred + transl
        image, colours = self.painted(rng, camera, vertices)
        return SyntheticPerson(
            image=image,
            camera=camera,
            kind=kind,
            yaw=yaw,
            rotations=rotation_matrices(pose),
            betas=betas,
            expression=expression,
            flame=np.empty(0, np.float32),
            joints=self.body.joints(*arguments, transl[None])[0],
            vertices=vertices,
            colours=colours,
        )

    @staticmethod
    def place(rng: Random, camera: Camera, framed: Array, margin: float) -> Array:
        """Translation that puts vertices near the middle of the image, at a random size."""
        low, high = framed.min(axis=0), framed.max(axis=0)
        extent = (high - low)[:2]
        fill = np.array([camera.width, camera.height]) / (margin * rng.uniform(1.0, 1.5))
        distance = float(np.max(extent * camera.fx / fill)) + (high - low)[2] / 2
        middle = (low + high) / 2
        free = np.array([camera.width, camera.height]) - extent * camera.fx / distance
        # A body larger than the image is shifted as well: it is cut at its feet or at its head.
        offset = rng.uniform(-0.35, 0.35, 2) * np.abs(free) * distance / camera.fx
        return np.array([*(offset - middle[:2]), distance - middle[2]], np.float32)

    def picture(
        self,
        rng: Random,
        camera: Camera,
        vertices: Array,
        dress: tuple[Array, Array] | None = None,
    ) -> Image:
        """Picture of a body with these vertices (V, 3), dressed, before a background.

        `dress`: what `Wardrobe.dress` returned; None: something new.
        """
        return self.painted(rng, camera, vertices, dress)[0]

    def painted(
        self,
        rng: Random,
        camera: Camera,
        vertices: Array,
        dress: tuple[Array, Array] | None = None,
    ) -> tuple[Image, Array]:
        """Picture of a body, as `picture` makes it, and its colours (V, 3) as lit, BGR from 0."""
        faces = self.body.faces
        colour, thickness = dress or self._wardrobe.dress(rng)
        dressed = vertices + unit_normals(vertices, faces) * thickness[:, None]
        normals = unit_normals(dressed, faces)
        light = np.full((len(dressed), 1), rng.uniform(0.25, 0.6), np.float32)
        for strength in (rng.uniform(0.3, 0.9), rng.uniform(0.1, 0.4)):
            direction = rng.normal(0, 1, 3) - [0, 0.7, 0.7]
            facing = normals @ (direction / np.linalg.norm(direction)).astype(np.float32)
            light += strength * np.clip(facing, 0, None)[:, None]
        raster = rasterize(dressed, faces, camera)
        picture = self._background(rng, camera.width, camera.height)
        lit = colour * light
        picture.reshape(-1, 3)[raster.pixel] = raster.interpolate(lit, faces)
        blurred = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 1.1))
        exposed = blurred * rng.uniform(0.75, 1.2) + rng.normal(0, 0.015, picture.shape)
        image: Image = (np.clip(exposed, 0, 1) * 255).astype(np.uint8)
        return image, lit

    def _background(self, rng: Random, width: int, height: int) -> Array:
        if self._photographs and rng.random() < 0.6:
            photograph = self._photographs[rng.integers(len(self._photographs))]
            rows, columns = photograph.shape[:2]
            scale = rng.uniform(0.3, 1.0) * min(rows / height, columns / width)
            piece_height, piece_width = int(height * scale), int(width * scale)
            top = rng.integers(rows - piece_height + 1)
            left = rng.integers(columns - piece_width + 1)
            piece = photograph[top : top + piece_height, left : left + piece_width]
            if rng.random() < 0.5:
                piece = piece[:, ::-1]
            resized = cv2.resize(np.ascontiguousarray(piece), (width, height))
            return np.asarray(resized * (rng.uniform(0.6, 1.1) / 255), np.float32)
        ramp = np.linspace(0, 1, height)[:, None, None]
        wall = np.tile(random_colour(rng) * ramp + random_colour(rng) * (1 - ramp), (1, width, 1))
        background = np.ascontiguousarray(wall, np.float32)
        background[rng.integers(height // 2, height) :] = random_colour(rng)
        for _ in range(rng.integers(0, 8)):
            x, y = int(rng.integers(width)), int(rng.integers(height))
            far = (x + int(rng.integers(10, width // 2)), y + int(rng.integers(10, height)))
            cv2.rectangle(background, (x, y), far, random_colour(rng).tolist(), -1)
        return background


def unit_normals(vertices: Array, faces: npt.NDArray[np.int32]) -> Array:
    """(V, 3) unit vertex normals, pointing outwards."""
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.stack(
        [
            np.bincount(faces.ravel(), np.repeat(across[:, axis], 3), len(vertices))
            for axis in range(3)
        ],
        axis=1,
    )
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.asarray(total / np.maximum(length, 1e-12), np.float32)
