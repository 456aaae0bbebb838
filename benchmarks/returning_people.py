# SPDX-License-Identifier: Apache-2.0
"""Pictures of people of the open body in given clothes, with somewhat wrong estimates of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from pear_ros.body import load_open_body
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, Image, Person, SmplxParams, TrackingState
from pear_ros.reidentification.body_parts import PARTS, part_of_vertices
from pear_ros.training.poses import FACING_CAMERA, sample_rotations
from pear_ros.training.studio import SyntheticStudio
from pear_ros.training.wardrobe import Wardrobe
from testing.painted_people import BODIES

CAMERA = Camera(360, 360, 420.0, 420.0, 179.5, 179.5)
GAINS = np.array([0.6, 0.75, 0.9])
"""Of blue, green and red, where the light changes."""
JOINT_ERROR = 5.0
"""Degrees."""


@dataclass(frozen=True)
class Shot:
    """An image of a view, and who is estimated in it."""

    image: Image
    camera: Camera
    seconds: float
    """From the first image of the view."""
    people: dict[int, Person]
    """By the number of the person."""


def relit(image: Image) -> Image:
    """Return an image in other light."""
    result: Image = np.clip(image * GAINS, 0, 255).astype(np.uint8)
    return result


class Photographer:
    """Takes pictures of people of the open body in given clothes."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._studio = SyntheticStudio()
        self._wardrobe = Wardrobe(self._studio.body)

    def clothes(self) -> tuple[Array, Array]:
        """Return random colours of a person and their clothes."""
        return self._wardrobe.dress(self._rng)

    def clothed_alike(self, dress: tuple[Array, Array]) -> tuple[Array, Array]:
        """Return another person in the same clothes."""
        colour, thickness = self.clothes()
        hair = part_of_vertices(_person(self._pose(0.0), 4.0), BODIES) == PARTS.index("hair")
        cloth = (dress[1] > 0.0) & ~hair
        return (
            np.where(cloth[:, None], dress[0], colour),
            np.where(cloth, dress[1], np.where(hair, thickness, 0.0)).astype(np.float32),
        )

    def shoot(self, dress: tuple[Array, Array], yaw: float, count: int) -> list[Shot]:
        """Return pictures, a quarter of a second apart, with somewhat wrong estimates."""
        shots = []
        for n in range(count):
            pose = self._pose(yaw + self._rng.normal(0.0, 25.0))
            person = _person(pose, self._rng.uniform(3.0, 5.0))
            image = self._studio.picture(self._rng, CAMERA, BODIES.meshes([person])[0], dress)
            wrong = Rotation.from_rotvec(pose).as_rotvec()
            wrong[:22] += np.radians(JOINT_ERROR) * self._rng.normal(size=(22, 3))
            shift = self._rng.normal(0.0, 0.02, 3).astype(np.float32)
            smplx = replace(
                person.smplx, pose=wrong.astype(np.float32), transl=person.smplx.transl + shift
            )
            shots.append(Shot(image, CAMERA, 0.25 * n, {0: replace(person, smplx=smplx)}))
        return shots

    def _pose(self, yaw: float) -> Array:
        rotations = sample_rotations(self._rng, "standing")
        turn = Rotation.from_euler("y", yaw, degrees=True).as_matrix()
        rotations[0] = FACING_CAMERA @ turn @ rotations[0]
        return np.asarray(Rotation.from_matrix(rotations).as_rotvec(), np.float32)


def _person(pose: Array, distance: float) -> Person:
    body = load_open_body()
    betas, expression = (
        np.zeros(body.num_betas, np.float32),
        np.zeros(body.num_expression, np.float32),
    )
    transl = np.array([0.0, 0.0, distance], np.float32)
    joints = body.joints(pose[None], betas[None], expression[None], transl[None])[0]
    keypoints = CAMERA.project(joints)
    return Person(
        id="",
        state=TrackingState.TRACKED,
        score=0.9,
        box=np.concatenate([keypoints.min(axis=0), keypoints.max(axis=0)]).astype(np.float32),
        smplx=SmplxParams(pose, betas, expression, transl),
        joints=joints,
        joint_confidence=np.ones(55, np.float32),
        keypoints=keypoints,
    )
