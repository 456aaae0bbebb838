# SPDX-License-Identifier: Apache-2.0
"""PEAR behind the interface of all estimators: everybody in an image as one batch.

Knows nothing of what runs the network, nor of where meshes are computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from pear_ros.body.ehm import EhmBody, EhmParameters
from pear_ros.body.kinematics import Tensor
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Region
from pear_ros.core.people import (
    NUM_JOINTS,
    Array,
    Estimate,
    FlameParams,
    Image,
    Person,
    SmplxParams,
    stack,
    unstack,
)
from pear_ros.pear.body import PearBody
from pear_ros.pear.crop import Squares, squares
from pear_ros.pear.mesh import MeshStep
from pear_ros.pear.person_detector import DetectedPerson, RegionPersonDetector
from pear_ros.pear.placement import place_people
from pear_ros.pear.prediction import Prediction
from pear_ros.pear.runtimes.runtime import Runtime


class PearEstimator:
    """PEAR's network and body."""

    def __init__(self, runtime: Runtime, reason: str, body: PearBody, mesh: MeshStep) -> None:
        """`runtime` runs the network, for the `reason` told; `body` computes joints by NumPy, and
        `mesh` that body's meshes.

        Raises pear_ros.io.downloads.AssetError when a landmark model has not been downloaded.
        """
        info = runtime.info
        self.model_id = f"pear/{info.weights[:8]}/{info.name}-{info.precision}"
        self._diagnostics = {
            "runtime": f"{info.name} {info.version}",
            "chosen because": reason,
            "precision": info.precision,
            "device": info.device,
            "accuracy": str(info.verdict or "fp32 itself"),
            "weights": info.weights,
        }
        self.body = body
        self._runtime = runtime
        self._mesh = mesh
        self._follow = RegionPersonDetector()

    @property
    def diagnostics(self) -> Mapping[str, str]:
        """See Estimator; with the GPU's memory as it is now, whoever uses it."""
        memory = self._runtime.memory()
        if memory is None:
            return self._diagnostics
        free, total = (1e-9 * amount for amount in memory)
        return {**self._diagnostics, "GPU memory": f"{free:.1f} of {total:.1f} GB free"}

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

    def joints(self, persons: Sequence[Person]) -> Array:
        """See Estimator."""
        joints: Array = _joints(self.body, _parameters(persons))
        return joints

    def heights(self, persons: Sequence[Person]) -> Array:
        """See Estimator."""
        return self.body.heights(stack([person.smplx for person in persons]).betas)

    def meshes(self, persons: Sequence[Person]) -> Array:
        """See Estimator."""
        return self._mesh(_parameters(persons))

    def reset(self) -> None:
        """Forget everybody."""
        self._follow.reset()

    def state(self) -> Any:
        """See Estimator."""
        return self._follow.state()

    def restore(self, state: Any) -> None:
        """See Estimator."""
        self._follow.restore(state)

    def close(self) -> None:
        """Free what network and meshes hold on a device."""
        self._runtime.close()
        self._mesh.close()

    def _look(
        self, image: Image, camera: Camera, places: Squares, people: Sequence[DetectedPerson]
    ) -> list[Estimate | None]:
        """One estimate for each square; None where the network's numbers make no person."""
        vectors = self._runtime.infer(image, places)
        usable = np.asarray(np.isfinite(vectors).all(axis=1))
        seen = Prediction.from_vectors(np.where(usable[:, None], vectors, 0.0))
        parameters = seen.parameters()
        joints = _joints(self.body, parameters)
        turn, transl = place_people(joints, seen.camera, places, camera)
        pelvis = joints[:, :1]
        joints = (joints - pelvis) @ turn.swapaxes(1, 2) + pelvis + transl[:, None]
        keypoints = camera.project(joints)
        rotations = parameters.pose
        rotations[:, 0] = turn @ rotations[:, 0]
        with np.errstate(invalid="ignore"):
            turned = (np.linalg.det(rotations) > 0.5).all(axis=1)
        usable &= np.isfinite(transl).all(axis=1) & turned
        rotations[~usable] = np.eye(3)
        flat = Rotation.from_matrix(rotations.reshape(-1, 3, 3)).as_rotvec()
        pose = flat.reshape(-1, NUM_JOINTS, 3).astype(np.float32)
        placed = unstack(SmplxParams(pose, seen.betas, seen.expression, transl))
        heads = unstack(_heads(seen))
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


def _heads(seen: Prediction) -> FlameParams:
    return FlameParams(
        shape=seen.flame_shape,
        expression=seen.flame_expression,
        jaw=seen.jaw,
        eyes=seen.eyes,
        eyelids=seen.eyelids,
        head_scale=seen.head_scale,
    )


def _parameters(persons: Sequence[Person]) -> EhmParameters:
    """Parameters of several people, as EHM-s takes them."""
    smplx = stack([person.smplx for person in persons])
    flame = stack([_flame(person) for person in persons])
    return EhmParameters(
        pose=smplx.pose,
        betas=smplx.betas,
        expression=smplx.expression,
        flame_shape=flame.shape,
        flame_expression=flame.expression,
        jaw=flame.jaw,
        eyes=flame.eyes,
        eyelids=flame.eyelids,
        head_scale=flame.head_scale,
        transl=smplx.transl,
    )


def _joints(body: PearBody, people: EhmParameters) -> Tensor:
    if isinstance(body, EhmBody):
        return body.joints(people)
    return body.joints(people.pose, people.betas, people.expression, people.transl)


def _flame(person: Person) -> FlameParams:
    assert person.flame is not None, "PEAR gives everybody a FLAME head"
    return person.flame
