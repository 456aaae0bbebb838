# SPDX-License-Identifier: Apache-2.0
"""What is evaluated: a method finds people in images. The pipeline is one, baselines are others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.transform import Rotation

from pear_ros.core.boxes import iou_matrix
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, Image, People, Person, TrackingState
from pear_ros.evaluation.coco_regressor import coco_joints
from pear_ros.evaluation.keypoint_names import COCO_OF_POSE, hand_keypoints
from pear_ros.evaluation.matching import MIN_IOU, FoundPerson
from pear_ros.landmarks.pose import visible_box
from pear_ros.landmarks.types import PersonLandmarks


class Method(Protocol):
    """Finds people in images, one image after the other."""

    @property
    def name(self) -> str:
        """Heading of its column."""

    def __call__(self, image: Image, camera: Camera, stamp: float) -> Sequence[FoundPerson]:
        """Return the people in an image (height, width, 3) BGR, taken at `stamp`, seconds."""

    def reset(self) -> None:
        """Forget earlier images, before an image of another scene."""

    def close(self) -> None:
        """Free what the method holds; it cannot be used afterwards."""


class PeoplePipeline(Protocol):
    """What is needed of pear_ros.pipeline.Pipeline."""

    @property
    def model_id(self) -> str:
        """Name and version of the estimator."""

    def __call__(self, image: Image, camera: Camera, stamp: float, /) -> People:
        """Return all people in an image."""

    def meshes(self, people: People) -> Array:
        """Return the meshes (N, V, 3) of all people in `people`."""

    def reset(self) -> None:
        """Forget earlier images."""

    def close(self) -> None:
        """Free what the pipeline holds."""


class LandmarkSource(Protocol):
    """An estimator that shows the landmarks to which it fits bodies."""

    @property
    def landmarks(self) -> Sequence[PersonLandmarks]:
        """The landmarks of all people estimated in the last image, in any order."""


class PipelineMethod:
    """The package's pipeline as a method."""

    def __init__(
        self,
        pipeline: PeoplePipeline,
        landmarks: LandmarkSource | None = None,
        meshes: bool = False,
    ) -> None:
        """Take over `pipeline`, which `close` closes.

        `landmarks`: its estimator, where it shows its landmarks; `meshes`: whether to compute them.
        """
        self._pipeline, self._landmarks, self._meshes = pipeline, landmarks, meshes
        self.name = pipeline.model_id

    def __call__(self, image: Image, camera: Camera, stamp: float) -> list[FoundPerson]:
        """Return the people in an image; tracks that end with it are not among them."""
        people = self._pipeline(image, camera, stamp)
        persons = [one for one in people.persons if one.state is not TrackingState.LOST]
        found = [found_person(one, camera) for one in persons]
        if self._landmarks is not None:
            found = _with_landmarks(found, self._landmarks.landmarks, camera)
        if self._meshes and found:
            meshes = self._pipeline.meshes(replace(people, persons=persons)).astype(np.float64)
            found = [replace(one, vertices=v) for one, v in zip(found, meshes, strict=True)]
        return found

    def reset(self) -> None:
        """Forget earlier images."""
        self._pipeline.reset()

    def close(self) -> None:
        """Close the pipeline."""
        self._pipeline.close()


def found_person(person: Person, camera: Camera) -> FoundPerson:
    """Return a person of the pipeline as a found one: COCO's keypoints are those of the body."""
    joints = coco_joints(person)
    return FoundPerson(
        box=_clipped(person.box, camera),
        score=person.score,
        keypoints=camera.project(joints).astype(np.float64),
        hands=hand_keypoints(person),
        joints=joints,
        observed=person.pose_observed,
        orientation=Rotation.from_rotvec(person.smplx.pose[0]).as_matrix(),
        name=person.id,
    )


def _clipped(box: Array, camera: Camera) -> Array:
    """Return the part of a box (4,) in the image, as it is published and as boxes are labelled."""
    size = np.array([camera.width, camera.height], np.float32)
    return np.clip(box.reshape(2, 2), 0.0, size).reshape(4)


def _with_landmarks(
    found: Sequence[FoundPerson], landmarks: Sequence[PersonLandmarks], camera: Camera
) -> list[FoundPerson]:
    """Give each found person the landmarks whose box overlaps theirs most."""
    if not found or not landmarks:
        return list(found)
    boxes = np.array([_clipped(visible_box(one.pose), camera) for one in landmarks])
    overlap = iou_matrix(np.array([one.box for one in found]), boxes)
    result = list(found)
    for person, index in zip(*linear_sum_assignment(overlap, maximize=True), strict=True):
        if overlap[person, index] >= MIN_IOU:
            points = landmarks[index].pose.image[COCO_OF_POSE, :2].astype(np.float64)
            result[person] = replace(found[person], landmarks=points)
    return result
