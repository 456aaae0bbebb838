# SPDX-License-Identifier: Apache-2.0
"""The least that an estimator is: the open body, standing, put into every box.

    python3 docs/examples/my_estimator.py --ros-args -r image:=/camera/image_raw

runs the node with it. Ids, smoothing, true size, meshes, messages and /tf come from the package.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence

import numpy as np

from pear_ros.body import load_open_body
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Region
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import NUM_JOINTS, Array, Estimate, Image, Person, SmplxParams, stack
from pear_ros.detection.detectors import make_detector
from pear_ros.pipeline import Pipeline
from pear_ros.ros.node.node import main


class StandingPeople:
    """Takes every detection for a person who stands upright and faces the camera."""

    model_id = "standing/1"  # name/version, published with every result
    diagnostics: dict[str, str] = {}  # noqa: RUF012  # shown in /diagnostics

    def __init__(self) -> None:
        self.body = load_open_body()
        pose = np.zeros((NUM_JOINTS, 3), np.float32)
        pose[0] = (math.pi, 0.0, 0.0)  # from y up, facing +z, to y down, facing the camera
        betas = np.zeros(self.body.num_betas, np.float32)
        expression = np.zeros(self.body.num_expression, np.float32)
        self._rest = SmplxParams(pose, betas, expression, transl=np.zeros(3, np.float32))
        vertices = self._make(self.body.vertices, [self._rest])[0]
        low, high = vertices.min(axis=0), vertices.max(axis=0)
        self._middle, self._height = (low + high) / 2, high[1] - low[1]

    def estimate(
        self, image: Image, camera: Camera, regions: Sequence[Region], stamp: float
    ) -> list[Estimate | None]:
        """Return one Estimate for each region, in order; None would mean: no person."""
        return [self._stand(camera, region) for region in regions]

    def _stand(self, camera: Camera, region: Region) -> Estimate:
        left, top, right, bottom = region.box
        distance = camera.fy * self._height / (bottom - top)
        x, y = camera.rays(np.array([left + right, top + bottom]) / 2)
        transl = np.array([x * distance, y * distance, distance], np.float32) - self._middle
        smplx = SmplxParams(self._rest.pose, self._rest.betas, self._rest.expression, transl)
        joints = self._make(self.body.joints, [smplx])[0]
        return Estimate(
            score=1.0 if math.isnan(region.score) else region.score,  # NaN: a proposal
            box=region.box,
            smplx=smplx,
            joints=joints,
            joint_confidence=np.full(NUM_JOINTS, np.nan, np.float32),  # NaN: not estimated
            keypoints=camera.project(joints),
        )

    def joints(self, persons: Sequence[Person]) -> Array:
        """Compute joints (N, 55, 3), metres: tracker and smoother change parameters."""
        return self._make(self.body.joints, [person.smplx for person in persons])

    def meshes(self, persons: Sequence[Person]) -> Array:
        """Compute vertices (N, V, 3), metres; called only while meshes are subscribed to."""
        return self._make(self.body.vertices, [person.smplx for person in persons])

    def heights(self, persons: Sequence[Person]) -> Array:
        """Compute standing heights (N,), metres, for the scale of the people."""
        return self.body.heights(np.stack([person.smplx.betas for person in persons]))

    def _make(self, what: Callable[..., Array], people: Sequence[SmplxParams]) -> Array:
        smplx = stack(people)
        return what(smplx.pose, smplx.betas, smplx.expression, smplx.transl)

    # State of earlier images: this estimator has none.

    def reset(self) -> None:
        """Drop the state of all earlier images."""

    def state(self) -> None:
        """Return the state of earlier images."""

    def restore(self, state: None) -> None:
        """Replace the state by one that `state` returned."""

    def close(self) -> None:
        """Free threads and device memory."""


def build_pipeline(parameters: Parameters) -> Pipeline:
    """Make the pipeline when the node is configured."""
    detector = make_detector(parameters.detector, parameters.min_detection_score)
    return Pipeline(StandingPeople(), detector, parameters, parameters.id_prefix)


if __name__ == "__main__":
    sys.exit(main(build=build_pipeline))
