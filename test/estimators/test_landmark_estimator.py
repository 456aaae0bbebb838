# SPDX-License-Identifier: Apache-2.0
"""LandmarkEstimator: its threads."""

from __future__ import annotations

import threading

import numpy as np

from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Region
from pear_ros.estimators.landmark_estimator import LandmarkEstimator


def test_landmark_estimator_stops_its_threads_when_closed() -> None:
    before = set(threading.enumerate())
    estimator = LandmarkEstimator()
    region = Region("region1", np.array([0, 0, 64, 48], np.float32))
    image = np.zeros((48, 64, 3), np.uint8)
    estimator.estimate(image, Camera.from_field_of_view(64, 48), [region], 0.0)
    assert set(threading.enumerate()) - before
    estimator.close()
    assert not set(threading.enumerate()) - before
