# SPDX-License-Identifier: Apache-2.0
"""PEAR as an Estimator: all people in an image are one batch.

Independent of the runtime of the network and of the device on which meshes are computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pear_ros.body.ehm_parameters import EhmParameters
from pear_ros.body.flame import NUM_EXPRESSION, NUM_SHAPE
from pear_ros.body.kinematics import rotation_vectors
from pear_ros.core.camera import Camera
from pear_ros.core.device_image import DeviceImage, image_for, takes_device_images
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
from pear_ros.pear.body import PearBody, body_joints, body_parameters, has_own_head
from pear_ros.pear.crop import Squares, squares
from pear_ros.pear.mesh import MeshStep
from pear_ros.pear.origin import RELEASE
from pear_ros.pear.person_detector import DetectedPerson, RegionPersonDetector
from pear_ros.pear.placement import compiled_fit, place_people
from pear_ros.pear.prediction import Prediction
from pear_ros.pear.runtimes.runtime import Runtime

_NO_HEAD = FlameParams(
    shape=np.zeros(NUM_SHAPE, np.float32),
    expression=np.zeros(NUM_EXPRESSION, np.float32),
    jaw=np.zeros(3, np.float32),
    eyes=np.zeros(6, np.float32),
    eyelids=np.zeros(2, np.float32),
    head_scale=np.ones(3, np.float32),
)


class PearEstimator:
    """PEAR's network and body model: a pear_ros.core.estimator.Estimator."""

    def __init__(
        self,
        runtime: Runtime,
        reason: str,
        body: PearBody,
        mesh: MeshStep,
        model: str = RELEASE,
    ) -> None:
        """`runtime` of the network and the `reason` of its choice; `body` on NumPy; `mesh` of it.

        `model`: whose weights they are, the first part of `model_id`.

        Raises pear_ros.io.downloads.AssetError when a landmark model has not been downloaded.
        """
        info = runtime.info
        self.model_id = f"{model}/{info.weights[:8]}/{info.name}-{info.precision}"
        self._diagnostics = {
            "runtime": f"{info.name} {info.version}",
            "chosen because": reason,
            "precision": info.precision,
            "device": info.device,
            "accuracy": str(info.verdict or "fp32 itself"),
            "weights": info.weights,
            "crops": getattr(runtime, "cropping", "on the CPU"),
        }
        self.body = body
        self._runtime = runtime
        self._mesh = mesh
        self._detect = RegionPersonDetector()
        compiled_fit()  # Compiles now, not during the first image.

    @property
    def takes_device_images(self) -> bool:
        """Whether the runtime crops images in a GPU's memory there."""
        return takes_device_images(self._runtime)

    @property
    def diagnostics(self) -> Mapping[str, str]:
        """Description of the runtime for diagnostics, with the GPU's free memory at this moment."""
        memory = self._runtime.memory()
        if memory is None:
            return self._diagnostics
        free, total = (1e-9 * amount for amount in memory)
        return {**self._diagnostics, "GPU memory": f"{free:.1f} of {total:.1f} GB free"}

    def estimate(
        self, image: Image | DeviceImage, camera: Camera, regions: Sequence[Region], stamp: float
    ) -> list[Estimate | None]:
        """Return the person in each of `regions`, in their order; None where there is none.

        `image` (H, W, 3): blue, green and red, of `camera`; `stamp` in seconds, not used.
        """
        detected = self._detect(image, regions)
        nowhere = np.full(4, np.nan, np.float32)
        boxes = np.array([person.box if person else nowhere for person in detected])
        places = squares(boxes.reshape(-1, 4), image.shape[1], image.shape[0])
        seen = np.flatnonzero(np.isfinite(places).all(axis=1))
        estimates: list[Estimate | None] = [None] * len(regions)
        if len(seen):
            people = [person for index in seen if (person := detected[index])]
            found = self._infer(image, camera, places[seen], people)
            for index, estimate in zip(seen, found, strict=True):
                estimates[index] = estimate
        return estimates

    def joints(self, persons: Sequence[Person]) -> Array:
        """Return joints (N, 55, 3) of `persons` in the optical frame, metres."""
        joints: Array = body_joints(self.body, _parameters(persons))
        return joints

    def heights(self, persons: Sequence[Person]) -> Array:
        """Return body heights (N,) of `persons` when standing, metres."""
        return self.body.heights(stack([person.smplx for person in persons]).betas)

    def meshes(self, persons: Sequence[Person]) -> Array:
        """Return vertices (N, V, 3) of `persons` in the optical frame, metres."""
        return self._mesh(_parameters(persons))

    def reset(self) -> None:
        """End all tracks of the person detector."""
        self._detect.reset()

    def state(self) -> Any:
        """Return the state of the person detector, see pear_ros.core.state."""
        return self._detect.state()

    def restore(self, state: Any) -> None:
        """Continue from a result of `state`."""
        self._detect.restore(state)

    def close(self) -> None:
        """Free the device memory of network and meshes."""
        self._runtime.close()
        self._mesh.close()

    def _infer(
        self,
        image: Image | DeviceImage,
        camera: Camera,
        places: Squares,
        people: Sequence[DetectedPerson],
    ) -> list[Estimate | None]:
        """One estimate for each square; None where the network's outputs are not a person."""
        vectors = self._runtime.infer(image_for(self._runtime, image), places)
        usable = np.asarray(np.isfinite(vectors).all(axis=1))
        seen = Prediction.from_vectors(np.where(usable[:, None], vectors, 0.0))
        parameters = body_parameters(self.body, seen)
        joints = body_joints(self.body, parameters)
        rotation, transl = place_people(joints, seen.camera, places, camera)
        pelvis = joints[:, :1]
        joints = (joints - pelvis) @ rotation.swapaxes(1, 2) + pelvis + transl[:, None]
        keypoints = camera.project(joints)
        rotations = parameters.pose
        rotations[:, 0] = rotation @ rotations[:, 0]
        # Parallel or zero axes make no rotation: then z = x cross y is short.
        z = rotations[..., 2]
        with np.errstate(invalid="ignore"):
            proper = ((z * z).sum(axis=2) > 0.5).all(axis=1)
        usable &= np.isfinite(transl).all(axis=1) & proper
        rotations[~usable] = np.eye(3)
        pose = rotation_vectors(rotations)
        placed = unstack(SmplxParams(pose, parameters.betas, parameters.expression, transl))
        own_head = has_own_head(self.body)
        heads = [None] * len(people) if own_head else unstack(_heads(seen))
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
    """Return the parameters of `persons` in the form of EHM-s."""
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


def _flame(person: Person) -> FlameParams:
    """Return the head of a person; zeros, which no body uses, where the body has its own head."""
    return person.flame or _NO_HEAD
