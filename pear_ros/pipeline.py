# SPDX-License-Identifier: Apache-2.0
"""Image -> people: find them, follow them, estimate them. Free of ROS types.

import cv2
from pear_ros.core.camera import Camera
from pear_ros.pipeline import Pipeline

image = cv2.imread("people.jpg")
camera = Camera.from_field_of_view(image.shape[1], image.shape[0])
people = Pipeline()(image, camera)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from threadpoolctl import ThreadpoolController

from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Body, Detection, Estimator
from pear_ros.core.parameters import Settings
from pear_ros.core.people import Array, Image, People
from pear_ros.detection.detectors import BuiltInDetector, Detector
from pear_ros.estimators.landmark_estimator import LandmarkEstimator
from pear_ros.scale.metric_scale import MetricScale
from pear_ros.smoothing.smoother import Smoother
from pear_ros.tracking import Tracker


class Pipeline:
    """Perceives the people in a video or in single pictures; not thread-safe."""

    def __init__(
        self,
        estimator: Estimator | None = None,
        detector: Detector | None = None,
        settings: Settings | None = None,
        id_prefix: str = "h",
    ) -> None:
        """`estimator`: the open default when not given; `detector`: the built-in one; `id_prefix`:
        what ids begin with, before their number. `settings`: of calls without their own.

        Raises pear_ros.io.downloads.AssetError when the landmark models have not been downloaded.
        """
        self._settings = settings or Settings()
        self._estimator = estimator or LandmarkEstimator()
        self._detector = detector or BuiltInDetector()
        self._bodies = ScaledBodies(self._estimator)
        self._tracker = Tracker(id_prefix)
        self._metric = MetricScale(self._bodies)
        self._smoother = Smoother(self._bodies)
        self._blas = ThreadpoolController()

    @property
    def id_prefix(self) -> str:
        """What ids of people begin with who are new from now on, before their number."""
        return self._tracker.prefix

    @id_prefix.setter
    def id_prefix(self, prefix: str) -> None:
        self._tracker.prefix = prefix

    @property
    def model_id(self) -> str:
        """Name and version of the estimator."""
        return self._estimator.model_id

    @property
    def diagnostics(self) -> Mapping[str, str]:
        """What else is to be known of the estimator, by short names, for diagnostics."""
        return self._estimator.diagnostics

    @property
    def body(self) -> Body:
        """The body that all parameters and meshes belong to."""
        return self._estimator.body

    def __call__(
        self,
        image: Image,
        camera: Camera,
        stamp: float = 0.0,
        *,
        detections: Sequence[Detection] | None = None,
        depth: Array | None = None,
        settings: Settings | None = None,
    ) -> People:
        """The people in one image.

        `image` (height, width, 3) uint8 BGR; `stamp` in seconds, ascending from image to image of a
        video. Call `reset` before an image that has nothing to do with the last one. `detections`:
        who is in this very image, where that is known better than by the detector. `depth` (height,
        width) metres along the optical axis for each pixel of the image, NaN where not known.
        `settings`: for this image; None: those given to the constructor.
        """
        settings = settings or self._settings
        with self._one_blas_thread():
            if detections is None:
                missing = self._tracker.coasting_boxes()
                detections = self._detector(image, self._tracker.count, missing)
            plan = self._tracker.predict(detections, stamp, settings.max_humans)
            estimates = self._estimator.estimate(image, camera, plan.regions, stamp)
            persons = self._tracker.update(plan, estimates, camera)
            persons = self._metric(persons, camera, stamp, depth, settings.body_height or None)
            if settings.smoothing:
                persons = self._smoother(persons, camera, stamp)
        return People(camera, self.model_id, self.body.name, tuple(persons))

    def meshes(self, people: People) -> Array:
        """(N, V, 3) float32 vertices of everybody in `people`, in the optical frame, metres."""
        with self._one_blas_thread():
            return self._bodies.meshes(people.persons)

    def reset(self) -> None:
        """Forget everybody: the next image has nothing to do with the last."""
        for part in self._remembering().values():
            part.reset()

    def state(self) -> dict[str, Any]:
        """What is remembered of the images so far, models apart: dataclasses and arrays.

        To be copied (pear_ros.bags.snapshot) before the next image.
        """
        return {name: part.state() for name, part in self._remembering().items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`, of this pipeline or of one alike; it belongs to this one then."""
        for name, part in self._remembering().items():
            part.restore(state[name])

    def close(self) -> None:
        """Free what is held on a device; nothing may be asked of it afterwards."""
        self._detector.close()
        self._estimator.close()

    def _remembering(self) -> dict[str, Any]:
        """The parts that keep something from image to image."""
        return {
            "tracker": self._tracker,
            "estimator": self._estimator,
            "detector": self._detector,
            "metric": self._metric,
            "smoother": self._smoother,
        }

    def _one_blas_thread(self) -> AbstractContextManager[object]:
        """NumPy's matrices here are small: more threads would spin beside the landmark models'."""
        limits: AbstractContextManager[object] = self._blas.limit(limits=1, user_api="blas")
        return limits
