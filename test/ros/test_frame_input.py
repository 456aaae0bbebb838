# SPDX-License-Identifier: Apache-2.0
"""The input of a frame: a message that is missing or corrupt becomes an issue."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from sensor_msgs.msg import CameraInfo, CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from pear_ros.core.camera import IntrinsicsSource
from pear_ros.core.parameters import Parameters
from pear_ros.ros.conversion.frame_input import (
    CAMERA_INFO,
    DEPTH,
    DETECTIONS,
    IMAGE,
    FrameAssembler,
    UnreadableError,
)
from pear_ros.ros.conversion.images import ImageError
from testing.ros_bench import image

PARAMETERS = Parameters()
TOPICS = {IMAGE: "/a/image_raw", CAMERA_INFO: "/a/camera_info"}
INFO = CameraInfo(width=64, height=48, k=[50.0, 0, 31.0, 0, 51.0, 23.0, 0, 0, 1.0])


def issues(topics: dict[str, str], read: Any = lambda message: message, **messages: Any) -> Any:
    frame = FrameAssembler({**TOPICS, **topics}, read)(image(1, 0), messages, PARAMETERS)
    return frame, [(issue.name, issue.cause) for issue in frame.issues]


def test_complete_input_has_no_issue() -> None:
    frame, found = issues({}, camera_info=INFO)
    assert found == []
    assert frame.image.shape == (48, 64, 3) and frame.nanoseconds == 1_000_000_000
    assert (frame.camera.fx, frame.camera.source) == (50.0, IntrinsicsSource.CAMERA_INFO)
    assert frame.detections is None and frame.depth is None


def test_missing_messages_are_issues() -> None:
    frame, found = issues({DETECTIONS: "/boxes", DEPTH: "/depth"})
    assert found == [
        ("no intrinsics", "missing"),
        ("no detections", "missing"),
        ("no depth", "missing"),
    ]
    assert frame.detections == () and frame.depth is None
    assert frame.camera.source is IntrinsicsSource.FIELD_OF_VIEW
    texts = [issue.text for issue in frame.issues]
    assert "no CameraInfo on /a/camera_info. A field of view of 60 degrees" in texts[0]
    assert "no message on /boxes has its stamp, within sync_tolerance = 0.02 s" in texts[1]


def test_unusable_messages_are_issues() -> None:
    small = ImageMessage(height=4, width=4, encoding="16UC1", step=8, data=bytes(32))
    frame, found = issues(
        {DETECTIONS: "/boxes", DEPTH: "/depth"},
        camera_info=CameraInfo(width=64, height=48),
        detections="no message",
        depth=small,
    )
    assert found == [
        ("no intrinsics", "unusable"),
        ("no detections", "AttributeError"),
        ("no depth", "depth size"),
    ]
    assert "the message is corrupt (AttributeError" in frame.issues[1].text
    assert frame.issues[2].text.startswith("Refused on /depth: depth image of 4 x 4")


def test_messages_that_cannot_be_read_are_issues() -> None:
    def read(message: Any) -> Any:
        raise UnreadableError(f"no definition of {message}")

    frame, found = issues({DEPTH: "/depth"}, read, depth="Image", camera_info="CameraInfo")
    assert found == [("no intrinsics", "unusable"), ("no depth", "UnreadableError")]
    assert frame.issues[1].text == "Refused on /depth: no definition of Image"


def test_an_image_that_cannot_be_used_is_an_error() -> None:
    assemble = FrameAssembler(TOPICS)
    for bad, cause in (
        (CompressedImage(format="jpeg"), "corrupt"),
        (ImageMessage(encoding="strange"), "encoding strange"),
        (type("Damaged", (), {"encoding": "bgr8"})(), "corrupt message"),
    ):
        with pytest.raises(ImageError) as raised:
            assemble(bad, {}, PARAMETERS)
        assert raised.value.cause == cause


def test_rectified_images_are_known_by_their_topic() -> None:
    p = [40.0, 0, 30.0, 0, 0, 41.0, 22.0, 0, 0, 0, 1.0, 0]
    info = CameraInfo(width=64, height=48, k=INFO.k, p=p)
    for topic, fx in (("/a/image_rect/compressed", 40.0), ("/a/image_raw/compressed", 50.0)):
        frame, _ = issues({IMAGE: topic}, camera_info=info)
        assert frame.camera.fx == np.float32(fx)
