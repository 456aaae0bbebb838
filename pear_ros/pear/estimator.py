# SPDX-License-Identifier: Apache-2.0
"""PEAR behind the interface of all estimators: everybody in an image as one batch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from scipy.spatial.transform import Rotation

from pear_ros.body import BodyModel
from pear_ros.body.ehm import EhmBody, EhmParameters
from pear_ros.body.kinematics import AsArray, Tensor, float32_array
from pear_ros.body.skinning import packed_skin
from pear_ros.camera import Camera
from pear_ros.estimator import Estimate, Region
from pear_ros.pear.checkpoint import load_checkpoint
from pear_ros.pear.crop import Squares, squares
from pear_ros.pear.files import ModelFiles, load_body_files
from pear_ros.pear.follower import PersonFollower, Sighting
from pear_ros.pear.network import PearNetwork
from pear_ros.pear.placement import place_people
from pear_ros.pear.prediction import Prediction
from pear_ros.pear.torch_crop import crop_people
from pear_ros.people import (
    NUM_JOINTS,
    Array,
    FlameParams,
    Image,
    Person,
    SmplxParams,
    stack,
    unstack,
)

PearBody: TypeAlias = EhmBody | BodyModel
"""EHM-s, or plain SMPL-X without FLAME's head."""

_JAW_AND_EYES = 3

logger = logging.getLogger(__name__)


class PearEstimator:
    """PEAR's network and body, on the GPU where there is one."""

    def __init__(
        self, network: PearNetwork, body: PearBody, mesh_body: PearBody, device: torch.device
    ) -> None:
        """`body` computes joints by NumPy; `mesh_body`, the same on `device`, computes meshes.

        Raises pear_ros.assets.AssetError when a landmark model has not been downloaded.
        """
        self.model_id = f"pear/{network.fingerprint[:8]}"
        self.body = body
        self._mesh_body = mesh_body
        self._device = device
        self._network = network.to(device)
        self._follow = PersonFollower()

    def estimate(
        self, image: Image, camera: Camera, regions: Sequence[Region], stamp: float
    ) -> list[Estimate | None]:
        """The person in each region, in the regions' order; None where there is nobody."""
        sightings = self._follow(image, regions)
        nowhere = np.full(4, np.nan, np.float32)
        boxes = np.array([sighting.box if sighting else nowhere for sighting in sightings])
        places = squares(boxes.reshape(-1, 4), image.shape[1], image.shape[0])
        seen = np.flatnonzero(np.isfinite(places).all(axis=1))
        estimates: list[Estimate | None] = [None] * len(regions)
        if len(seen):
            people = [sighting for index in seen if (sighting := sightings[index])]
            found = self._look(image, camera, places[seen], people)
            for index, estimate in zip(seen, found, strict=True):
                estimates[index] = estimate
        return estimates

    def meshes(self, persons: Sequence[Person]) -> Array:
        """(N, V, 3) vertices of people estimated before, in the optical frame, metres."""
        smplx = stack([person.smplx for person in persons])
        flame = stack([_flame(person) for person in persons])
        parameters = _parameters(smplx, flame, _on(self._device))
        vertices = _vertices(self._mesh_body, parameters)
        return np.asarray(vertices.cpu() if isinstance(vertices, torch.Tensor) else vertices)

    def reset(self) -> None:
        """Forget everybody."""
        self._follow.reset()

    def _look(
        self, image: Image, camera: Camera, places: Squares, people: Sequence[Sighting]
    ) -> list[Estimate | None]:
        """One estimate for each square; None where the network's numbers make no person."""
        with torch.inference_mode():
            crops = crop_people(image, places, self._device)
            vectors = self._network(crops).float().cpu().numpy()
        usable = np.isfinite(vectors).all(axis=1)
        seen = Prediction.from_vectors(np.where(usable[:, None], vectors, 0.0))
        smplx, flame = _as_seen(seen)
        parameters = _parameters(smplx, flame)
        joints = _joints(self.body, parameters)
        turn, transl = place_people(joints, seen.camera, places, camera)
        pelvis = joints[:, :1]
        joints = (joints - pelvis) @ turn.swapaxes(1, 2) + pelvis + transl[:, None]
        keypoints = camera.project(joints)
        rotations = smplx.pose
        rotations[:, 0] = turn @ rotations[:, 0]
        with np.errstate(invalid="ignore"):
            turned = (np.linalg.det(rotations) > 0.5).all(axis=1)
        usable &= np.isfinite(transl).all(axis=1) & turned
        rotations[~usable] = np.eye(3)
        flat = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_rotvec()
        pose = flat.reshape(-1, NUM_JOINTS, 3).astype(np.float32)
        placed = unstack(replace(smplx, pose=pose, transl=transl))
        heads = unstack(flame)
        return [
            Estimate(
                score=people[n].score,
                box=people[n].box,
                smplx=placed[n],
                joints=joints[n],
                joint_confidence=np.full(NUM_JOINTS, np.nan, np.float32),
                keypoints=keypoints[n],
                flame=heads[n],
            )
            if usable[n]
            else None
            for n in range(len(people))
        ]


def load_pear(files: ModelFiles, plain_smplx: bool = False) -> PearEstimator:
    """PEAR from a user's files, on the GPU where torch has one.

    `plain_smplx`: SMPL-X's own head in place of FLAME's. Raises ValueError, with file and reason,
    where a file is not what it should be.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        packed_skin()  # Compiled now, so that no image has to wait for it.
    smplx, flame = load_body_files(files)

    def body(asarray: AsArray) -> PearBody:
        return replace(smplx, asarray=asarray) if plain_smplx else EhmBody(smplx, flame, asarray)

    joints_body = body(float32_array)
    mesh_body = joints_body if device.type == "cpu" else body(_on(device))
    network = load_checkpoint(files.checkpoint)
    logger.info("PEAR's network %s on %s", files.checkpoint, device)
    return PearEstimator(network, joints_body, mesh_body, device)


def _on(device: torch.device) -> AsArray:
    """Where meshes are computed: by NumPy on the CPU, where it is quicker, else by torch."""
    if device.type == "cpu":
        return float32_array

    def asarray(values: npt.NDArray[Any]) -> Tensor:
        return torch.as_tensor(float32_array(values), device=device)

    return asarray


def _as_seen(seen: Prediction) -> tuple[SmplxParams, FlameParams]:
    """What the network sees of all people, not yet placed in space; the pose as matrices."""
    people = len(seen.betas)
    rest = np.broadcast_to(np.eye(3, dtype=np.float32), (people, _JAW_AND_EYES, 3, 3))
    parts = (seen.global_orient, seen.body_pose, rest, seen.left_hand_pose, seen.right_hand_pose)
    pose = np.concatenate(parts, axis=1)
    nowhere = np.zeros((people, 3), np.float32)
    return SmplxParams(pose, seen.betas, seen.expression, nowhere), FlameParams(
        shape=seen.flame_shape,
        expression=seen.flame_expression,
        jaw=seen.jaw,
        eyes=seen.eyes,
        eyelids=seen.eyelids,
        head_scale=seen.head_scale,
    )


def _parameters(
    smplx: SmplxParams, flame: FlameParams, asarray: AsArray = float32_array
) -> EhmParameters:
    """Parameters of several people, as EHM-s takes them."""
    return EhmParameters(
        pose=asarray(smplx.pose),
        betas=asarray(smplx.betas),
        expression=asarray(smplx.expression),
        flame_shape=asarray(flame.shape),
        flame_expression=asarray(flame.expression),
        jaw=asarray(flame.jaw),
        eyes=asarray(flame.eyes),
        eyelids=asarray(flame.eyelids),
        head_scale=asarray(flame.head_scale),
        transl=asarray(smplx.transl),
    )


def _joints(body: PearBody, people: EhmParameters) -> Tensor:
    if isinstance(body, EhmBody):
        return body.joints(people)
    return body.joints(people.pose, people.betas, people.expression, people.transl)


def _vertices(body: PearBody, people: EhmParameters) -> Tensor:
    if isinstance(body, EhmBody):
        return body.vertices(people)
    return body.vertices(people.pose, people.betas, people.expression, people.transl)


def _flame(person: Person) -> FlameParams:
    assert person.flame is not None, "PEAR gives everybody a FLAME head"
    return person.flame
