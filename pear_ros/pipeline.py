# SPDX-License-Identifier: Apache-2.0
"""The pipeline from an image to people: detect, track, estimate, scale, smooth. Free of ROS types.

import cv2
from pear_ros import Camera, Pipeline

image = cv2.imread("people.jpg")
camera = Camera.from_field_of_view(image.shape[1], image.shape[0])
people = Pipeline()(image, camera)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core.blas import OneBlasThread
from pear_ros.core.camera import Camera
from pear_ros.core.camera_motion import CameraMotion
from pear_ros.core.device_image import DeviceImage, image_for, on_cpu, takes_device_images
from pear_ros.core.estimator import Body, Detection, Estimator
from pear_ros.core.ground import GroundPlane
from pear_ros.core.parameters import Settings
from pear_ros.core.people import Array, Image, People
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.core.upright import Turn, turned
from pear_ros.detection.detectors import Detector, make_detector
from pear_ros.estimators.landmark_estimator import LandmarkEstimator
from pear_ros.reidentification.appearance import AppearanceSampler
from pear_ros.reidentification.reidentification import Reidentification
from pear_ros.scale.metric_scale import MetricScale
from pear_ros.smoothing.feet import Feet
from pear_ros.smoothing.smoother import Smoother
from pear_ros.tracking import Tracker


class Pipeline:
    """Estimates and tracks the people in the images of one camera; not thread-safe."""

    def __init__(
        self,
        estimator: Estimator | None = None,
        detector: Detector | None = None,
        settings: Settings | None = None,
        id_prefix: str = "h",
        reidentify_seconds: float = 0.0,
    ) -> None:
        """Make a pipeline without any state.

        `estimator`: None for the open default, LandmarkEstimator; `detector`: None for the built-in
        one; `settings`: for images that come without their own; `id_prefix`: the start of track
        ids, before their number; `reidentify_seconds`: for how long people who left are known by
        their appearance, to get the same id when they return, 0: not at all. Raises
        pear_ros.io.downloads.AssetError when the landmark models have not been downloaded.
        """
        self._settings = settings or Settings()
        self._estimator = estimator or LandmarkEstimator()
        self._detector = detector or make_detector()
        self._bodies = ScaledBodies(self._estimator)
        self._tracker = Tracker(id_prefix)
        self._metric_scale = MetricScale(self._bodies)
        self._smoother = Smoother(self._bodies)
        self._feet = Feet()
        self._camera_motion = CameraMotion()
        self._reidentification: Reidentification | None = None
        if reidentify_seconds > 0.0:
            sampler = AppearanceSampler(self._bodies, self._estimator.body)
            self._reidentification = Reidentification(sampler, reidentify_seconds)
        self._one_blas_thread = OneBlasThread()
        self._rotate: int | None = None
        """Degrees by which the last image was turned; None: there was none."""

    @property
    def id_prefix(self) -> str:
        """Start of the ids of new tracks, before their number."""
        return self._tracker.prefix

    @id_prefix.setter
    def id_prefix(self, prefix: str) -> None:
        self._tracker.prefix = prefix

    @property
    def model_id(self) -> str:
        """Name and version of the estimator."""
        return self._estimator.model_id

    @property
    def takes_device_images(self) -> bool:
        """Whether images in a GPU's memory are cropped there; they are downloaded otherwise."""
        return takes_device_images(self._estimator)

    @property
    def diagnostics(self) -> Mapping[str, str]:
        """Short texts about the estimator for /diagnostics, by key, such as runtime and device."""
        return self._estimator.diagnostics

    @property
    def body(self) -> Body:
        """The body model that all parameters and meshes belong to."""
        return self._estimator.body

    def __call__(
        self,
        image: Image | DeviceImage,
        camera: Camera,
        stamp: float = 0.0,
        *,
        detections: Sequence[Detection] | None = None,
        depth: Array | None = None,
        camera_pose: RigidTransform | None = None,
        ground: GroundPlane | None = None,
        settings: Settings | None = None,
    ) -> People:
        """Estimate the people in one image.

        `image` (height, width, 3) uint8 BGR, an array or in a GPU's memory, taken by `camera` at
        `stamp`, seconds; stamps ascend from image to image, call `reset` before an image of another
        scene. `detections`: the people
        in this image, instead of the detector's. `depth` (height, width): metres along the optical
        axis for each pixel of the image, NaN: unknown; ValueError when its size is not the image's.
        `camera_pose`: of the optical frame in a fixed frame; with it, tracks and smoothing take no
        turn of the camera for motion of people. `ground`: the floor in the optical frame, on which
        people's feet give their size and distance.
        `settings`: for this image; None: those given to the constructor; with another `rotate` than
        that of the image before all tracks are reset. What the estimator raises
        is passed on; the tracks continue with the next image. Raises ValueError for an image of
        another shape or type, for a camera that cannot have taken it, and a stamp that is no time.
        """
        _require_usable(image, camera, stamp)
        settings = settings or self._settings
        if self._rotate not in (None, settings.rotate):
            self.reset()
        self._rotate = settings.rotate
        if not settings.rotate:
            self._follow(camera_pose, stamp)
            return self._people(image, camera, stamp, detections, depth, ground, settings)
        turn = Turn(settings.rotate, camera)
        self._follow(camera_pose and turn.pose(camera_pose), stamp)
        people = self._people(
            turned(on_cpu(image), settings.rotate),
            turn.camera,
            stamp,
            None if detections is None else turn.detections(detections),
            None if depth is None else turned(depth, settings.rotate),
            ground and turn.ground(ground),
            settings,
        )
        return turn.back(people)

    def _follow(self, camera_pose: RigidTransform | None, stamp: float) -> None:
        """Move what is known of people to the frame of this image, if the camera has moved."""
        motion = self._camera_motion(camera_pose, stamp)
        if motion is not None:
            self._tracker.move(motion)
            self._smoother.move(motion)
            self._feet.move(motion)

    def _people(
        self,
        image: Image | DeviceImage,
        camera: Camera,
        stamp: float,
        detections: Sequence[Detection] | None,
        depth: Array | None,
        ground: GroundPlane | None,
        settings: Settings,
    ) -> People:
        """People in an image in which they are upright."""
        with self._one_blas_thread:
            if detections is None:
                coasting = self._tracker.coasting_boxes()
                count = self._tracker.count
                searched = image_for(self._detector, image)
                detections = self._detector(searched, count, coasting, stamp)
            plan = self._tracker.predict(detections, stamp, settings.max_humans)
            try:
                seen = image_for(self._estimator, image)
                estimates = self._estimator.estimate(seen, camera, plan.regions, stamp)
                persons = self._tracker.update(plan, estimates, camera)
            except Exception:
                # Tracks are as before this image, but its detections are lost: search all of the
                # next one.
                self._detector.reset()
                raise
            persons = self._metric_scale(
                persons, camera, stamp, depth, settings.body_height or None, ground
            )
            if settings.smoothing:
                persons = self._smoother(persons, camera, stamp)
                if settings.foot_contact:
                    persons = self._feet(persons, camera, stamp, ground)
            if self._reidentification is not None:
                persons = self._reidentification(persons, image, camera, stamp)
        return People(camera, self.model_id, self.body.name, tuple(persons))

    def meshes(self, people: People) -> Array:
        """Compute the vertices (N, V, 3) of all `people`, float32, metres, in the optical frame."""
        with self._one_blas_thread:
            return self._bodies.meshes(people.persons)

    def reset(self) -> None:
        """End all tracks and drop all other state, before an image of another scene."""
        for component in self.components().values():
            component.reset()
        if self._reidentification is not None:
            self._reidentification.reset()

    def state(self) -> dict[str, Any]:
        """Return the state after the images so far, without models: dataclasses and arrays.

        It is not copied: copy or encode it before the next image. Appearances of people are not
        part of it, so that they are never written: after `restore`, nobody is known by them.
        """
        return {name: component.state() for name, component in self.components().items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Replace the state by one that `state` of a pipeline with the same configuration returned.

        It is not copied: the pipeline owns it from then on.
        """
        for name, component in self.components().items():
            component.restore(state[name])
        if self._reidentification is not None:
            self._reidentification.reset()

    def close(self) -> None:
        """Free threads and device memory; the pipeline cannot be used afterwards."""
        self._detector.close()
        self._estimator.close()

    def components(self) -> dict[str, Any]:
        """Return the components whose state is saved from image to image, by name."""
        return {
            "tracker": self._tracker,
            "estimator": self._estimator,
            "detector": self._detector,
            "metric_scale": self._metric_scale,
            "smoother": self._smoother,
            "feet": self._feet,
            "camera_motion": self._camera_motion,
        }


def _require_usable(image: Image | DeviceImage, camera: Camera, stamp: float) -> None:
    """Raise ValueError where an image, the camera that took it, or its time is of no use."""
    shape: tuple[int, ...] = getattr(image, "shape", ())
    kind = getattr(image, "dtype", np.uint8)
    if len(shape) != 3 or shape[2] != 3 or min(shape) < 1 or kind != np.uint8:
        found = f"{shape} {np.dtype(kind)}" if shape else type(image).__name__
        raise ValueError(f"an image has to be (height, width, 3) uint8 in BGR, not {found}")
    if (camera.height, camera.width) != tuple(shape[:2]):
        raise ValueError(
            f"the camera is of {camera.width} x {camera.height} pixels, the image of {shape[1]} x "
            f"{shape[0]}: scale the intrinsics to the image"
        )
    fx, fy, cx, cy = camera.fx, camera.fy, camera.cx, camera.cy
    if not all(map(math.isfinite, (fx, fy, cx, cy))) or min(fx, fy) <= 0.0:
        raise ValueError(
            f"no camera has intrinsics of fx {fx:g}, fy {fy:g}, cx {cx:g}, cy {cy:g}: without a "
            "calibration use Camera.from_field_of_view"
        )
    if not math.isfinite(stamp):
        raise ValueError(f"the stamp of an image has to be a time in seconds, not {stamp}")
