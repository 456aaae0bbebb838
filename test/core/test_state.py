# SPDX-License-Identifier: Apache-2.0
"""The state of a pipeline is complete: a restored one continues with the same results."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from pear_ros.bags import snapshot
from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.core.estimator import Region
from pear_ros.core.parameters import Settings
from pear_ros.core.people import Image, People
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.detection.detectors import make_detector
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.pear.person_detector import RegionPersonDetector
from pear_ros.pipeline import Pipeline
from pear_ros.replay.state_classes import state_classes

CAMERA = Camera(480, 270, 400.0, 400.0, 239.5, 134.5, IntrinsicsSource.CAMERA_INFO)
DEPTH = np.full((270, 480), 3.0, np.float32)
"""About where people are."""
POSE = RigidTransform(np.eye(3), np.array([1.0, 2.0, 3.0]))
"""Pose of the camera in a fixed frame."""


@pytest.fixture(scope="module")
def frames() -> list[tuple[float, Image]]:
    """Two people; the last ones are some seconds later."""
    return [
        (stamp, np.asarray(cv2.resize(image, (480, 270), interpolation=cv2.INTER_AREA)))
        for n, (stamp, image) in enumerate(FrameSource(str(demo_clip())))
        if 100 <= n < 109
    ]


def dumps(state: Any) -> bytes:
    return snapshot.dumps(state, state_classes())


def loads(content: bytes) -> Any:
    return snapshot.loads(content, state_classes())


def run(pipeline: Pipeline, frames: list[tuple[float, Image]], **depth: Any) -> list[People]:
    """With all that keeps a state switched on."""
    settings = Settings(foot_contact=True)
    return [
        pipeline(image, CAMERA, stamp, camera_pose=POSE, settings=settings, **depth)
        for stamp, image in frames
    ]


def test_restored_pipeline_continues_with_the_same_results(
    frames: list[tuple[float, Image]],
) -> None:
    first, second = Pipeline(), Pipeline()
    fresh = {name: dumps(state) for name, state in first.state().items()}
    run(first, frames[:5], depth=DEPTH)
    kept = dumps(first.state())
    for name, state in first.state().items():
        assert dumps(state) != fresh[name], f"{name} has no state of the images"
    for pipeline in (first, second):
        pipeline.restore(loads(kept))
    assert dumps(second.state()) == dumps(first.state())
    expected, found = run(first, frames[5:]), run(second, frames[5:])
    assert dumps(found) == dumps(expected)
    assert dumps(second.state()) == dumps(first.state()) != kept

    reset = run(Pipeline(), frames[5:])
    assert dumps(reset) != dumps(expected), "the state matters"


def test_detector_state_includes_the_pending_search(frames: list[tuple[float, Image]]) -> None:
    """Its proposals come with the next image, also after a restart."""
    detector, other = make_detector("built_in"), make_detector("built_in")
    images = [(image, 1, [], n / 15) for n, (_, image) in enumerate(frames)]
    for inputs in images[:6]:
        detector(*inputs)
    other.restore(loads(dumps(detector.state())))
    original, restored = ([d(*inputs) for inputs in images[6:]] for d in (detector, other))
    assert original[0], "in the image before"
    for expected, found in zip(original, restored, strict=True):
        np.testing.assert_array_equal([d.box for d in found], [d.box for d in expected])
    detector.close()
    other.close()


def test_pears_follower(frames: list[tuple[float, Image]]) -> None:
    (_, image), (_, after) = frames[:2]
    follower, other = RegionPersonDetector(), RegionPersonDetector()
    regions = [Region("look1", np.array([230, 130, 330, 265], np.float32))]
    (sighting,) = follower(image, regions)
    assert sighting is not None
    other.restore(loads(dumps(follower.state())))
    assert dumps(other(after, regions)) == dumps(follower(after, regions))
    assert dumps(RegionPersonDetector()(after, regions)) != dumps(other(after, regions))


def test_pears_follower_takes_a_detectors_boxes_where_it_has_none_of_its_own(
    frames: list[tuple[float, Image]],
) -> None:
    _, image = frames[0]
    box = np.array([230, 130, 330, 265], np.float32)
    proposed, detected = Region("look1", box), Region("look1", box, 0.8)

    def boxes(*regions: Region) -> list[list[float]]:
        follower = RegionPersonDetector()
        people = [follower(image, [region])[0] for region in regions]
        return [[] if person is None else person.box.tolist() for person in people]

    new, every_image = boxes(detected, detected)
    assert new == every_image == box.tolist()
    own, followed = boxes(proposed, detected)
    assert own != box.tolist() and followed != box.tolist(), "the crop does not jump"
    _, between, again = boxes(proposed, detected, detected)
    assert between == followed and again == box.tolist()
    nowhere = np.array([0, 0, 60, 60], np.float32)
    assert boxes(Region("a", nowhere), Region("a", nowhere, 0.8)) == [[], nowhere.tolist()]
