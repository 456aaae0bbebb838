# SPDX-License-Identifier: Apache-2.0
"""Landmarks and people in distorted images agree with those of a pinhole camera."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pear_ros.core.camera import Camera
from pear_ros.core.distortion import Distortion
from pear_ros.core.estimator import Region
from pear_ros.core.people import Array, Estimate, Image
from pear_ros.estimators.landmark_estimator import LandmarkEstimator
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.types import HandLandmarks, PoseLandmarks
from pear_ros.landmarks.undistort import undistorted_part, undistorted_pose
from pear_ros.training.studio import SyntheticStudio

BARREL = Distortion("plumb_bob", (-0.3, 0.1, 0.001, -0.002, 0.0))
FISHEYE = Distortion("equidistant", (-0.01, 0.02, -0.01, 0.002))
LENSES = pytest.mark.parametrize("lens", [BARREL, FISHEYE], ids=["barrel", "fisheye"])


def pose_at(pixels: Array, roi: Roi) -> PoseLandmarks:
    count = len(pixels)
    image = np.concatenate([pixels, np.full((count, 1), 10.0)], axis=1).astype(np.float32)
    ones = np.ones(count, np.float32)
    return PoseLandmarks(image, np.zeros((count, 3), np.float32), ones, ones, 1.0, roi)


@LENSES
def test_undistorted_landmarks_are_those_of_a_pinhole(lens: Distortion) -> None:
    camera = Camera(640, 480, 500.0, 510.0, 310.0, 250.0, distortion=lens)
    points = np.random.default_rng(0).uniform((-1, -0.8, 2.0), (1, 0.8, 3.0), (33, 3))
    middle = camera.project(np.array([0.5, 0.3, 2.0]))
    seen = pose_at(camera.project(points), Roi(float(middle[0]), float(middle[1]), 80.0, 0.3))
    ideal = undistorted_pose(seen, camera)
    assert ideal is not None
    np.testing.assert_allclose(ideal.image[:, :2], camera.pinhole.project(points), atol=0.01)
    where = camera.pinhole.project(np.array([0.5, 0.3, 2.0]))
    np.testing.assert_allclose([ideal.roi.x, ideal.roi.y], where, atol=0.01)
    assert 80.0 < ideal.roi.size < 110.0, "these lenses shrink"
    np.testing.assert_allclose(ideal.image[:, 2], 10.0 * ideal.roi.size / 80.0, rtol=1e-5)


def test_undistorted_pose_without_distortion_is_the_same() -> None:
    seen = pose_at(np.zeros((33, 2)), Roi(0.0, 0.0, 10.0))
    assert undistorted_pose(seen, Camera(640, 480, 500.0, 500.0, 320.0, 240.0)) is seen


def test_landmarks_without_a_ray_are_invisible() -> None:
    camera = Camera(
        640, 480, 300.0, 300.0, 320.0, 240.0, distortion=Distortion("plumb_bob", (-0.3, 0, 0, 0))
    )
    # The polynomial's greatest value is 0.703, 211 pixels from the centre.
    pixels = np.tile(np.array([[320.0, 300.0], [320.0, 470.0]]), (16, 1))
    ideal = undistorted_pose(pose_at(pixels, Roi(320.0, 240.0, 100.0)), camera)
    assert ideal is not None
    assert np.isfinite(ideal.image).all()
    assert ideal.visibility.tolist() == ideal.presence.tolist() == [1.0, 0.0] * 16
    hand = HandLandmarks(
        np.zeros((21, 3), np.float32), np.zeros((21, 3), np.float32), 1.0, Roi(320.0, 470.0, 50.0)
    )
    assert undistorted_part(hand, camera) is None


def through(lens_camera: Camera, image: Image) -> Image:
    """Return a pinhole's image as distorted by the lens."""
    column, row = np.meshgrid(np.arange(lens_camera.width), np.arange(lens_camera.height))
    rays = lens_camera.rays(np.stack([column, row], axis=-1).astype(np.float32))
    pinhole = lens_camera.pinhole
    where = (rays * (pinhole.fx, pinhole.fy) + (pinhole.cx, pinhole.cy)).astype(np.float32)
    return np.asarray(cv2.remap(image, where, None, cv2.INTER_LINEAR), np.uint8)


def test_estimate_through_a_lens_agrees_with_a_pinhole() -> None:
    person = SyntheticStudio().shoot(np.random.default_rng([7, 0]), "standing", 0, (480, 480))
    pinhole, estimator = person.camera, LandmarkEstimator(threads=1)
    bent = replace(pinhole, distortion=Distortion("plumb_bob", (-1.2, 1.0, 0.0, 0.0)))

    def estimate(image: Image, camera: Camera, box: Array) -> Estimate:
        estimator.reset()
        found = estimator.estimate(image, camera, [Region("h1", box)], 0.0)[0]
        assert found is not None
        return found

    def box(camera: Camera) -> Array:
        pixels = camera.project(person.vertices)
        return np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])

    straight = estimate(person.image, pinhole, box(pinhole))
    found = estimate(through(bent, person.image), bent, box(bent))
    ignorant = estimate(through(bent, person.image), pinhole, box(bent))

    np.testing.assert_allclose(found.keypoints, bent.project(found.joints), atol=1e-3)
    off = np.linalg.norm(found.keypoints[:22] - bent.project(person.joints[:22]), axis=1)
    assert off.mean() < 0.02 * 480
    moved = np.linalg.norm(found.smplx.transl - straight.smplx.transl)
    misplaced = np.linalg.norm(ignorant.smplx.transl - straight.smplx.transl)
    assert moved < 0.06 < 0.12 < misplaced, "metres"
