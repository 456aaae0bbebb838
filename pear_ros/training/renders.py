# SPDX-License-Identifier: Apache-2.0
"""Random renders for training: what people do, how a camera sees them, where it cuts them.

Wider than the benchmarks' pictures: people lean, lie, sit on floors and at tables, bend, crouch and
carry; cameras are pitched, rolled and near; the image's edges and things in front hide parts of
people.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.body.kinematics import rotation_matrices
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, Image
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS
from pear_ros.pear.prediction import LAYOUT
from pear_ros.training.poses import FACING_CAMERA, KINDS, RARE_KINDS, from_degrees, sample_rotations
from pear_ros.training.studio import SyntheticPerson, SyntheticStudio

Doubles = npt.NDArray[np.float64]

SIDE = 288
"""Pixels of a picture's side; the landmark models see 256."""
RARE = 0.45
"""Share of RARE_KINDS."""
LEANING = 0.3
"""Share of people who lean by about 30 degrees in any direction."""
LYING = 0.05
"""Share of people of any kind who lie, besides those of the kind `lying`."""
CHILDREN = 0.06
"""Share of bodies far smaller than adults, with a child's proportions as far as the body has
them."""

_JAW, _EYES = 22, (23, 24)
_FINGERS = [*range(25, 55)]


def rotation_about(axis: int, degrees: float) -> Doubles:
    """Return the rotation (3, 3) about the x, y or z axis (0, 1, 2)."""
    vector = np.zeros(3)
    vector[axis] = degrees
    return np.asarray(Rotation.from_rotvec(vector, degrees=True).as_matrix())


def sample_pose(rng: np.random.Generator) -> tuple[str, Doubles]:
    """Return a kind and rotations (55, 3, 3), the root as it stands or lies in the world (y up)."""
    kinds = list(RARE_KINDS if rng.random() < RARE else KINDS)
    kind = kinds[rng.integers(len(kinds))]
    rotations = sample_rotations(rng, kind)
    if kind == "bending":
        hips = Rotation.from_matrix(rotations[1:3]).as_rotvec(degrees=True)
        rotations[0] = rotation_about(0, -float(hips[:, 0].mean())) @ rotations[0]
    if kind == "lying" or rng.random() < LYING:
        return kind, lie(rng, rotations)
    if rng.random() < LEANING:
        way, angle = rng.uniform(0, 2 * np.pi), rng.normal(0, 30)
        lean = Rotation.from_rotvec([angle * np.cos(way), 0, angle * np.sin(way)], degrees=True)
        rotations[0] = lean.as_matrix() @ rotations[0]
    return kind, rotations


def lie(rng: np.random.Generator, rotations: Doubles) -> Doubles:
    """Return the rotations of the same pose, lying on back, face or side."""
    roll = rng.choice([0.0, 180.0, 90.0, -90.0], p=[0.45, 0.2, 0.175, 0.175]) + rng.normal(0, 15)
    down = rotation_about(0, -90 + rng.normal(0, 12)) @ rotation_about(1, roll)
    return np.concatenate([(down @ rotations[0])[None], rotations[1:]])


def sample_camera(rng: np.random.Generator) -> tuple[Camera, Doubles]:
    """Return a pinhole and the rotation (3, 3) from the upright world to its optical frame."""
    focal = SIDE * np.exp(rng.uniform(np.log(0.5), np.log(2.0)))
    camera = Camera(SIDE, SIDE, focal, focal, (SIDE - 1) / 2, (SIDE - 1) / 2)
    pitch = rng.uniform(-50, 65) if rng.random() < 0.15 else rng.normal(0, 12)
    roll = rng.normal(0, 30) if rng.random() < 0.1 else rng.normal(0, 4)
    return camera, rotation_about(2, roll) @ rotation_about(0, pitch) @ FACING_CAMERA


@dataclass(frozen=True)
class Framing:
    """How much of a person the image is to show."""

    margin: float
    """Image over body; below 1 the body is cut by edges."""
    above: float
    """Height in the T-pose, metres, above which the body is framed."""


def sample_framing(rng: np.random.Generator) -> Framing:
    """Return a framing: mostly whole people, some cut at any edge, some close-ups."""
    chance = rng.random()
    if chance < 0.15:
        return Framing(rng.uniform(0.8, 1.3), rng.uniform(-0.5, 0.35))
    if chance < 0.35:
        return Framing(rng.uniform(0.45, 0.95), -np.inf)
    return Framing(rng.uniform(1.05, 1.6), -np.inf)


def animate(rng: np.random.Generator, rotations: Doubles, num_expression: int) -> Array:
    """Turn jaw, eyes and fingers of `rotations` (55, 3, 3) in place; return an expression.

    The expression (num_expression,) has a few coefficients from 0 to 1; others are 0, and so are
    those that PEAR's network lacks.
    """
    rotations[_JAW] = from_degrees([rng.uniform(0, 18) if rng.random() < 0.3 else 0.0, 0, 0])
    rotations[[*_EYES]] = from_degrees([rng.normal(0, 8), rng.normal(0, 15), 0])
    bent = from_degrees(rng.normal(0, (4, 6, 10), (len(_FINGERS), 3)))
    rotations[_FINGERS] = rotations[_FINGERS] @ bent
    expression = np.zeros(num_expression, np.float32)
    predicted = min(num_expression, LAYOUT["expression"])
    moved = rng.choice(predicted, min(predicted, int(rng.integers(0, 7))), replace=False)
    expression[moved] = rng.uniform(0, 1, len(moved))
    return expression


class RenderStudio:
    """Takes pictures of which training knows the truth."""

    def __init__(self, photographs: list[Image], animated: bool = False) -> None:
        """Draw before pieces of `photographs`, pictures without people, or before plain walls.

        `animated`: whether faces, eyes and fingers move, as `animate` has them.
        """
        self._studio = SyntheticStudio(photographs)
        self._animated = animated
        self.body = self._studio.body

    def shoot(self, rng: np.random.Generator) -> SyntheticPerson:
        """Return the picture of one person; it is SIDE pixels wide and high."""
        kind, rotations = sample_pose(rng)
        camera, view = sample_camera(rng)
        yaw, framing = rng.uniform(-180, 180), sample_framing(rng)
        rotations[0] = view @ rotation_about(1, yaw) @ rotations[0]
        betas = self._betas(rng)
        count = self.body.num_expression
        expression: Array = np.zeros(count, np.float32)
        if self._animated:
            expression = animate(rng, rotations, count)
        pose = Rotation.from_matrix(rotations).as_rotvec().astype(np.float32)
        arguments = (pose[None], betas[None], expression[None])
        centred = self.body.vertices(*arguments, np.zeros((1, 3), np.float32))[0]
        framed = centred[self.body.v_template[:, 1] > framing.above]
        transl = self._studio.place(rng, camera, framed, framing.margin)
        # All of the body is in front of the camera.
        transl[2] = max(transl[2], 0.2 - float(centred[:, 2].min()))
        if rng.random() < 0.12:
            beyond = rng.uniform(-0.35, 0.35, 2) * SIDE / camera.fx * transl[2]
            transl[:2] += beyond.astype(np.float32)
        vertices = centred + transl
        image, colours = self._studio.painted(rng, camera, vertices)
        joints = self.body.joints(*arguments, transl[None])[0]
        hidden = self._hide(rng, image, camera.project(joints[:NUM_BODY_JOINTS]))
        return SyntheticPerson(
            image=image,
            camera=camera,
            kind=kind,
            yaw=yaw,
            rotations=rotation_matrices(pose),
            betas=betas,
            expression=expression,
            joints=joints,
            vertices=vertices,
            colours=colours,
            hidden=hidden,
        )

    def _betas(self, rng: np.random.Generator) -> Array:
        betas = np.clip(rng.normal(0, 1, self.body.num_betas), -2.5, 2.5)
        if rng.random() < CHILDREN:
            # The first coefficient is height, the sixth age (tools/build_open_body.py).
            betas[[0, 5]] = -rng.uniform(2.5, 4.5), -rng.uniform(1.5, 3.0)
        return betas.astype(np.float32)

    @staticmethod
    def _hide(
        rng: np.random.Generator, image: Image, joints: Array
    ) -> npt.NDArray[np.bool_] | None:
        """Draw a table, or something upright, before the person, in some of the pictures.

        Return the pixels (SIDE, SIDE) that it takes; None without it.
        """
        chance, colour = rng.random(), rng.uniform(10, 240, 3).tolist()
        low, high = joints.min(axis=0), joints.max(axis=0)
        if chance < 0.1:
            edge = int(low[1] + rng.uniform(0.3, 0.8) * (high[1] - low[1]))
            left, right = (0, SIDE) if rng.random() < 0.6 else (int(low[0]) - 30, int(high[0]) + 30)
            depth = SIDE if rng.random() < 0.7 else int(rng.uniform(15, 50))
            corners = ((left, edge), (right, edge + depth))
        elif chance < 0.15:
            edge = int(low[0] + rng.uniform(-0.1, 0.5) * (high[0] - low[0]))
            width = int(rng.uniform(0.1, 0.4) * (high[0] - low[0])) + 8
            if rng.random() < 0.5:
                edge = int(low[0] + high[0]) - edge - width
            corners = ((edge, 0), (edge + width, SIDE))
        else:
            return None
        cv2.rectangle(image, *corners, colour, -1)
        hidden = np.zeros(image.shape[:2], np.uint8)
        cv2.rectangle(hidden, *corners, 1, -1)
        return hidden.astype(bool)
