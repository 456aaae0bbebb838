# SPDX-License-Identifier: Apache-2.0
"""The documentation's estimator, through the pipeline and into the node."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Detection
from pear_ros.core.parameters import Parameters, Settings
from pear_ros.core.people import DepthSource, TrackingState
from pear_ros.detection.detectors import NoDetector
from pear_ros.pipeline import Pipeline

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "my_estimator.py"
CAMERA = Camera(640, 480, 500.0, 500.0, 319.5, 239.5)
PICTURE = np.zeros((480, 640, 3), np.uint8)
BOXES = np.array([[100, 80, 200, 420], [420, 150, 500, 350]], np.float32)


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLE))


def test_people_stand_in_their_boxes_and_keep_their_ids(example: dict[str, Any]) -> None:
    pipeline = Pipeline(example["StandingPeople"](), NoDetector())
    for image in range(3):
        found = [Detection(box + image, 0.8) for box in BOXES]
        people = pipeline(PICTURE, CAMERA, image / 30, detections=found)
    assert [(p.id, p.state, p.score) for p in people.persons] == [
        ("h1", TrackingState.TRACKED, 0.8),
        ("h2", TrackingState.TRACKED, 0.8),
    ]
    assert people.model_id == "standing/1"
    for person, mesh, box in zip(people.persons, pipeline.meshes(people), BOXES + 2, strict=True):
        seen = CAMERA.project(mesh)
        assert seen[:, 1].min() == pytest.approx(box[1], abs=15.0)
        assert seen[:, 1].max() == pytest.approx(box[3], abs=15.0)
        assert seen[:, 0].mean() == pytest.approx((box[0] + box[2]) / 2, abs=6.0)
        left, right = person.keypoints[[16, 17], 0]
        assert left > right, "who faces the camera has the left shoulder on the picture's right"


def test_scale_comes_from_the_package(example: dict[str, Any]) -> None:
    pipeline = Pipeline(example["StandingPeople"](), NoDetector(), Settings(body_height=1.9))
    people = pipeline(PICTURE, CAMERA, 0.0, detections=[Detection(BOXES[0], 0.8)])
    (person,) = people.persons
    assert person.depth_source is DepthSource.BODY_HEIGHT
    assert np.ptp(pipeline.meshes(people)[0, :, 1]) == pytest.approx(1.9, rel=0.05)


def test_node_runs_the_estimator(example: dict[str, Any]) -> None:
    parameters = Parameters(detector="full_frame", id_prefix="front_h")
    pipeline = example["build_pipeline"](parameters)
    people = pipeline(PICTURE, CAMERA)
    assert [person.id for person in people.persons] == ["front_h1"]
    pipeline.close()
