# SPDX-License-Identifier: Apache-2.0
"""What is evaluated: a method finds people in images. The pipeline is one, baselines are others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pear_ros.core.camera import Camera
from pear_ros.core.people import Image, People, Person, TrackingState
from pear_ros.evaluation.keypoint_names import coco_joints, hand_keypoints
from pear_ros.evaluation.matching import FoundPerson


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
        """Return everyone in an image."""

    def reset(self) -> None:
        """Forget earlier images."""

    def close(self) -> None:
        """Free what the pipeline holds."""


class PipelineMethod:
    """The package's pipeline as a method."""

    def __init__(self, pipeline: PeoplePipeline) -> None:
        """Take over `pipeline`, which `close` closes."""
        self._pipeline = pipeline
        self.name = pipeline.model_id
        self.persons: Sequence[Person] = ()
        """People of the last image, in the order of the found."""

    def __call__(self, image: Image, camera: Camera, stamp: float) -> list[FoundPerson]:
        """Return the people in an image; tracks that end with it are not among them."""
        people = self._pipeline(image, camera, stamp)
        self.persons = [one for one in people.persons if one.state is not TrackingState.LOST]
        return [found_person(one, camera) for one in self.persons]

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
        box=person.box,
        score=person.score,
        keypoints=camera.project(joints).astype(np.float64),
        hands=hand_keypoints(person),
        joints=joints,
        name=person.id,
    )
