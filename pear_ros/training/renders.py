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

from pear_ros.body import load_open_body
from pear_ros.body.kinematics import rotation_matrices
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, Image
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS
from pear_ros.pear.body import PearBody, body_joints, body_vertices
from pear_ros.training.bodies import parameters_of, surface
from pear_ros.training.poses import FACING_CAMERA, KINDS, RARE_KINDS, sample_rotations
from pear_ros.training.shapes import (
    sample_betas,
    sample_expression,
    sample_flame,
    turn_head_and_hands,
)
from pear_ros.training.studio import SyntheticPerson, SyntheticStudio
from pear_ros.training.wardrobe import rest_joints

Doubles = npt.NDArray[np.float64]

SIDE = 288
"""Pixels of a picture's side; the landmark models see 256."""
RARE = 0.45
"""Share of RARE_KINDS."""
LEANING = 0.3
"""Share of people who lean by about 30 degrees in any direction."""
LYING = 0.05
"""Share of people of any kind who lie, besides those of the kind `lying`."""


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
    """Height above the pelvis in the T-pose, metres, from which on the body is framed."""


def sample_framing(rng: np.random.Generator) -> Framing:
    """Return a framing: mostly whole people, some cut at any edge, some close-ups."""
    chance = rng.random()
    if chance < 0.15:
        return Framing(rng.uniform(0.8, 1.3), rng.uniform(-0.5, 0.35))
    if chance < 0.35:
        return Framing(rng.uniform(0.45, 0.95), -np.inf)
    return Framing(rng.uniform(1.05, 1.6), -np.inf)


class RenderStudio:
    """Takes pictures of which training knows the truth."""

    def __init__(
        self, photographs: list[Image], body: PearBody | None = None, animated: bool = False
    ) -> None:
        """Draw before pieces of `photographs`, pictures without people, or before plain walls.

        `body`: by default the open one. `animated`: whether faces, eyes and fingers move.
        """
        self.body = body or load_open_body()
        self._studio = SyntheticStudio(photographs, surface(self.body))
        self._animated = animated
        shown = self._studio.body
        self._height = shown.v_template[:, 1] - rest_joints(shown)["pelvis"][1]

    def shoot(self, rng: np.random.Generator) -> SyntheticPerson:
        """Return the picture of one person; it is SIDE pixels wide and high."""
        kind, rotations = sample_pose(rng)
        camera, view = sample_camera(rng)
        yaw, framing = rng.uniform(-180, 180), sample_framing(rng)
        rotations[0] = view @ rotation_about(1, yaw) @ rotations[0]
        betas = sample_betas(rng, self.body)
        expression: Array = np.zeros(self.body.num_expression, np.float32)
        if self._animated:
            turn_head_and_hands(rng, rotations)
            expression = sample_expression(rng, self.body)
        flame = sample_flame(rng, self.body, betas, rotations)
        turned = rotation_matrices(Rotation.from_matrix(rotations).as_rotvec().astype(np.float32))
        one = (a[None] for a in (turned, betas, expression, flame))
        people = parameters_of(self.body, *one)
        centred = body_vertices(self.body, people)[0]
        framed = centred[self._height > framing.above]
        transl = self._studio.place(rng, camera, framed, framing.margin)
        # All of the body is in front of the camera.
        transl[2] = max(transl[2], 0.2 - float(centred[:, 2].min()))
        if rng.random() < 0.12:
            beyond = rng.uniform(-0.35, 0.35, 2) * SIDE / camera.fx * transl[2]
            transl[:2] += beyond.astype(np.float32)
        vertices = centred + transl
        image, colours = self._studio.painted(rng, camera, vertices)
        joints = body_joints(self.body, people)[0] + transl
        hidden = self._hide(rng, image, camera.project(joints[:NUM_BODY_JOINTS]))
        return SyntheticPerson(
            image=image,
            camera=camera,
            kind=kind,
            yaw=yaw,
            rotations=turned,
            betas=betas,
            expression=expression,
            flame=flame,
            joints=joints,
            vertices=vertices,
            colours=colours,
            hidden=hidden,
        )

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
