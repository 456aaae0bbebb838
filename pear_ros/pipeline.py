# SPDX-License-Identifier: Apache-2.0
"""Image -> people: find them, follow them, estimate them. Free of ROS types.

import cv2
from pear_ros.camera import Camera
from pear_ros.pipeline import Pipeline

image = cv2.imread("people.jpg")
camera = Camera.from_field_of_view(image.shape[1], image.shape[0])
people = Pipeline()(image, camera)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import numpy as np
from threadpoolctl import ThreadpoolController

from pear_ros.camera import Camera
from pear_ros.estimator import Body, Estimator
from pear_ros.landmark_estimator import LandmarkEstimator
from pear_ros.landmarks.detector import Detection, PersonDetector, sweep
from pear_ros.landmarks.roi import Roi
from pear_ros.people import Array, Image, People
from pear_ros.tracking import Tracker

DETECTION_INTERVAL = 3
"""While several people are followed, newcomers are looked for in every third image only; with one
or none, in every image, as there is a core to spare."""

SEARCH = 4.0
"""Side of the window in which somebody is looked for who went missing, over that of their box."""


class Pipeline:
    """Perceives the people in a video or in single pictures; not thread-safe."""

    def __init__(self, estimator: Estimator | None = None, max_humans: int = 8) -> None:
        """`estimator`: the open default when not given. `max_humans`: how many are followed.

        Raises pear_ros.assets.AssetError when the landmark models have not been downloaded.
        """
        self._estimator = estimator or LandmarkEstimator()
        self._detector = PersonDetector()
        self._tracker = Tracker(max_humans)
        self._size: tuple[int, int] | None = None
        self._windows: list[Roi] = []
        self._sweep: Iterator[Roi] = iter(())
        self._images_since_detection = 0
        self._detections: list[Detection] = []
        self._background = ThreadPoolExecutor(1, thread_name_prefix="detector")
        self._blas = ThreadpoolController()

    @property
    def model_id(self) -> str:
        """Name and version of the estimator."""
        return self._estimator.model_id

    @property
    def facts(self) -> Mapping[str, str]:
        """What else is to be known of the estimator, by short names, for diagnostics."""
        return self._estimator.facts

    @property
    def body(self) -> Body:
        """The body that all parameters and meshes belong to."""
        return self._estimator.body

    def __call__(self, image: Image, camera: Camera, stamp: float = 0.0) -> People:
        """The people in one image.

        `image` (height, width, 3) uint8 BGR; `stamp` in seconds, ascending from image to image of a
        video. Call `reset` before an image that has nothing to do with the last one.
        """
        windows = self._look_at(image)
        if self._tracker.count == 0:
            self._detections = self._detector.detect(image, windows)
            windows = []
        regions = self._tracker.regions([found.box for found in self._detections], stamp)
        # Beside the estimator, which leaves cores idle at times: newcomers join in the next image.
        detecting = self._background.submit(self._detector.detect, image, windows)
        with self._one_blas_thread():
            estimates = self._estimator.estimate(image, camera, regions, stamp)
        self._detections = detecting.result()
        found = {
            region.id: estimate
            for region, estimate in zip(regions, estimates, strict=True)
            if estimate is not None
        }
        persons = self._tracker.update(found, stamp)
        return People(camera, self.model_id, self.body.name, persons=tuple(persons))

    def meshes(self, people: People) -> Array:
        """(N, V, 3) float32 vertices of everybody in `people`, in the optical frame, metres."""
        if not people.persons:
            return np.empty((0, self.body.vertex_count, 3), np.float32)
        with self._one_blas_thread():
            return self._estimator.meshes(people.persons)

    def reset(self) -> None:
        """Forget everybody: the next image has nothing to do with the last."""
        self._tracker.reset()
        self._estimator.reset()
        self._detections = []
        self._size = None

    def close(self) -> None:
        """Free what is held on a device; nothing may be asked of it afterwards."""
        self._background.shutdown()
        self._estimator.close()

    def _one_blas_thread(self) -> AbstractContextManager[object]:
        """NumPy's matrices here are small: more threads would spin beside the landmark models'."""
        limits: AbstractContextManager[object] = self._blas.limit(limits=1, user_api="blas")
        return limits

    def _look_at(self, image: Image) -> list[Roi]:
        """Windows for the detector: all over a first image; then around those who went missing and,
        now and then, one for newcomers.
        """
        size = image.shape[1], image.shape[0]
        if size != self._size:
            self._size = size
            self._windows = self._detector.windows(*size)
            self._sweep = sweep(self._windows)
            return self._windows
        self._images_since_detection += 1
        interval = DETECTION_INTERVAL if self._tracker.count > 1 else 1
        if self._images_since_detection >= interval:
            self._images_since_detection = 0
            return [next(self._sweep)]
        if self._images_since_detection == 1:
            return [Roi.from_box(box, SEARCH) for box in self._tracker.missing()]
        return []
