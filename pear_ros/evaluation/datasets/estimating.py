# SPDX-License-Identifier: Apache-2.0
"""The estimator on labelled boxes, and the whole pipeline, with meshes of whom they find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Estimator, Region
from pear_ros.core.people import Image, Person, TrackingState
from pear_ros.evaluation.datasets.people import SMPLX_VERTICES, FoundBody
from pear_ros.evaluation.labels import Doubles
from pear_ros.evaluation.methods import PeoplePipeline


class BoxedEstimator:
    """Finds one person in each labelled box: no detector, no tracking, no smoothing."""

    def __init__(self, estimator: Estimator) -> None:
        """Take over `estimator`, which `close` closes."""
        self._estimator = estimator
        self._bodies = ScaledBodies(estimator)
        self._count = 0

    @property
    def name(self) -> str:
        """Heading of its column."""
        return self._estimator.model_id

    @property
    def has_smplx_mesh(self) -> bool:
        """Whether its mesh has SMPL-X's vertices."""
        return self._estimator.body.vertex_count == SMPLX_VERTICES

    def __call__(
        self, image: Image, camera: Camera, boxes: Sequence[Doubles], meshes: bool = True
    ) -> list[FoundBody | None]:
        """Return the person in each box (4,) x0 y0 x1 y1; None: the estimator sees none.

        `meshes`: whether to compute them.
        """
        self._count += 1
        # Regions have new names, so that nothing is carried over from another picture.
        regions = [
            Region(f"r{self._count}_{number}", box.astype(np.float32), 1.0)
            for number, box in enumerate(boxes)
        ]
        estimates = self._estimator.estimate(image, camera, regions, float(self._count))
        people = [
            None if one is None else Person.of(one, id=f"p{number}", state=TrackingState.NEW)
            for number, one in enumerate(estimates)
        ]
        known = [one for one in people if one is not None]
        vertices = self._bodies.meshes(known) if meshes else np.empty((len(known), 0, 3))
        rows = iter(vertices.astype(np.float64))
        return [None if one is None else FoundBody(one, next(rows)) for one in people]

    def close(self) -> None:
        """Close the estimator."""
        self._estimator.close()


class DetectedBodies:
    """The whole pipeline: a detector finds the people, each picture on its own."""

    def __init__(self, pipeline: PeoplePipeline) -> None:
        """Take over `pipeline`, which `close` closes."""
        self._pipeline = pipeline
        self.name = pipeline.model_id

    def __call__(self, image: Image, camera: Camera) -> list[FoundBody]:
        """Return the people whose body was read in an image."""
        self._pipeline.reset()
        people = self._pipeline(image, camera, 0.0)
        persons = [
            one
            for one in people.persons
            if one.state is not TrackingState.LOST and one.pose_observed
        ]
        meshes = self._pipeline.meshes(replace(people, persons=persons)).astype(np.float64)
        return [FoundBody(*pair) for pair in zip(persons, meshes, strict=True)]

    def close(self) -> None:
        """Close the pipeline."""
        self._pipeline.close()
