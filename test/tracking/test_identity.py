# SPDX-License-Identifier: Apache-2.0
"""Identity of people on the demo clip and in the benchmark's scenes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.identity import IouTracker, PackageTracker, Score, scene
from pear_ros.core.camera import Camera
from pear_ros.core.people import Image, Person, TrackingState
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.landmarks.pose import PoseModel
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.types import PoseLandmarks
from pear_ros.pipeline import Pipeline

FIRST, LAST = 140, 196
"""Images of a backflip, in which the man is hardly recognised as a person, and of his landing."""


def test_pipeline_keeps_ids_during_a_backflip() -> None:
    pipeline = Pipeline()
    images: list[list[Person]] = []
    for n, (stamp, image) in enumerate(FrameSource(str(demo_clip()))):
        if FIRST <= n < LAST:  # As compressed as images of a camera arrive.
            _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 92])
            image = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
            camera = Camera.from_field_of_view(image.shape[1], image.shape[0])
            images.append(list(pipeline(image, camera, stamp).persons))
        elif n == LAST:
            break
    assert {person.id for persons in images for person in persons} == {"h1", "h2"}
    states = [{person.id: person.state for person in persons} for persons in images]
    assert all(TrackingState.LOST not in one.values() for one in states)
    assert {"h1", "h2"} == set(states[0]) == set(states[-1]), "the woman is in sight, too"
    assert set(states[-1].values()) == {TrackingState.TRACKED}


class FakePoseModel(PoseModel):
    """A landmark model that returns the same person for any image."""

    def __init__(self, score: float, x: float) -> None:
        points = np.full((33, 3), (x, 50.0, 0.0), np.float32)
        confidence = np.ones(33, np.float32)
        self.pose = PoseLandmarks(points, points, confidence, confidence, score, Roi(x, 50.0, 80.0))

    def __call__(self, image: Image, roi: Roi) -> PoseLandmarks:
        return self.pose


@pytest.mark.parametrize(
    ("score", "x", "tracked", "new"),
    [(0.9, 50.0, True, True), (0.4, 50.0, True, False), (0.1, 50.0, False, False)]
    + [(0.9, x, False, False) for x in (-5.0, 105.0)],
)
def test_pose_model_threshold_is_lower_for_tracked_people(
    score: float, x: float, tracked: bool, new: bool
) -> None:
    """A person whose pelvis is outside the image is not detected."""
    image, model = np.zeros((100, 100, 3), np.uint8), FakePoseModel(score, x)
    assert (model.detect(image, model.pose.roi) is not None) is tracked
    assert (model.detect(image, model.pose.roi, proposed=True) is not None) is new


def test_tracker_keeps_ids_better_than_the_iou_baseline() -> None:
    package, iou = Score(), Score()
    for seed in (1, 2):
        frames = scene(4, 8.0, 10.0, seed)
        package.add(frames, PackageTracker())
        iou.add(frames, IouTracker())
    assert package.idf1 > 0.85 > 0.75 > iou.idf1
    assert package.switches < iou.switches / 2
    truth = Score()
    truth.add(frames, PerfectTracker())
    assert truth.idf1 == 1.0
    assert truth.switches == 0


class PerfectTracker(IouTracker):
    """Returns the true boxes and identities."""

    def __call__(self, frame):  # type: ignore[no-untyped-def]
        return {f"p{person}": box for person, box in frame.truth.items()}
