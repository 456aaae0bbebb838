# SPDX-License-Identifier: Apache-2.0
"""What `pear doctor` finds odd in live topics: the same as the node."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("vision_msgs", reason="needs the messages of vision_msgs")

from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image as ImageMessage
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from pear_ros.cli.doctor.findings import Finding, Level
from pear_ros.cli.doctor.network_report import NetworkReport, Publisher, TopicReport
from pear_ros.cli.doctor.orientation import turn_to_upright
from pear_ros.cli.doctor.topic_statistics import (
    DetectionStatistics,
    TopicStatistics,
    calibration,
    inspect_image,
)
from pear_ros.cli.doctor.topics import check_topics
from pear_ros.core.upright import turned
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.ros.conversion.messages import image_message
from pear_ros.ros.topics import IMAGE_TYPE
from testing.ros_bench import header


def statistics_of(*messages: ImageMessage) -> TopicStatistics:
    statistics = TopicStatistics(IMAGE_TYPE)
    for message in messages:
        statistics.add(serialize_message(message))
    return statistics


def odd(encoding: str = "bgr8", frame: str = "camera", stamp: float = 0.0) -> ImageMessage:
    message = image_message(np.zeros((4, 8, 3), np.uint8), header(stamp))
    message.encoding, message.header.frame_id = encoding, frame
    return message


def causes(oddities: Any) -> list[str]:
    return [one.cause for one in oddities]


def test_encodings_and_frames_are_odd() -> None:
    sample = inspect_image(statistics_of(odd("8UC3", "/camera")))
    assert sample.readable and causes(sample.oddities) == ["taken for bgr8", "slash in frame_id"]
    assert causes(inspect_image(statistics_of(odd(frame=""))).oddities) == ["no frame_id"]
    assert inspect_image(statistics_of(odd())).oddities == ()


def test_stamps_are_odd() -> None:
    assert causes(statistics_of(odd()).oddities("/image")) == ["stamps of 0"]
    assert causes(statistics_of(*[odd()] * 3).oddities("/image")) == ["stamps stand still"]
    assert statistics_of(odd(stamp=1.0)).oddities("/image") == ()


def test_a_lens_is_odd() -> None:
    sample = inspect_image(statistics_of(odd()))
    info = CameraInfo(width=8, height=4, distortion_model="fisheye", d=[0.1] * 4)
    info.k = [5.0, 0.0, 4.0, 0.0, 5.0, 2.0, 0.0, 0.0, 1.0]
    found = calibration("/image", sample, info)
    assert found.calibrated and causes(found.oddities) == ["distortion renamed"]
    info.k[0] = info.k[4] = 0.1
    assert "K is a placeholder" in (calibration("/image", sample, info).problem or "")


def boxes(class_id: str, x: float) -> Detection2DArray:
    one = Detection2D()
    one.bbox.center.position.x = one.bbox.center.position.y = x
    one.bbox.size_x = one.bbox.size_y = 8.0
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id, result.hypothesis.score = class_id, 0.9
    one.results = [result]
    return Detection2DArray(detections=[one])


@pytest.mark.parametrize(
    ("class_id", "x", "cause"),
    [
        ("0", 20.0, "none of a person"),
        ("person", 500.0, "outside the image"),
        ("Person", 20.0, ""),
    ],
)
def test_detections_are_odd(class_id: str, x: float, cause: str) -> None:
    statistics = DetectionStatistics()
    for _ in range(3):
        statistics.add(boxes(class_id, x))
    report = statistics.report("/boxes", {"/image": (64, 48)})
    assert (report.messages, report.boxes) == (3, 3)
    assert causes(report.oddities) == ([cause] if cause else [])
    network = replace(NetworkReport(), detections=(report,))
    assert NetworkReport.from_dict(json.loads(network.to_json())) == network
    found = {finding.id: finding for finding in check_topics(network, 3.0)}
    assert found["topics./boxes"].level is Level.OK
    if cause:
        finding = found[f"topics./boxes:{cause.replace(' ', '_')}"]
        assert finding.level is Level.WARN and finding.advice


def test_each_oddity_is_a_finding() -> None:
    sample = inspect_image(statistics_of(odd("8UC3", "")))
    topic = TopicReport(
        **{**vars(sample), "topic": "/image", "type": IMAGE_TYPE, "messages": 3},
        publishers=(Publisher("/camera", "RELIABLE", "VOLATILE"),),
    )
    network = NetworkReport(topics=(topic,))
    assert NetworkReport.from_dict(json.loads(network.to_json())) == network
    found: dict[str, Finding] = {one.id: one for one in check_topics(network, 3.0)}
    assert found["topics./image"].level is Level.OK
    for cause in ("taken_for_bgr8", "no_frame_id"):
        assert found[f"topics./image:{cause}"].level is Level.WARN


def test_people_who_are_not_upright_are_noticed() -> None:
    _, image = next(iter(FrameSource(str(demo_clip()))))
    assert turn_to_upright(image) == 0
    for degrees in (90, 180, 270):
        assert turn_to_upright(turned(image, 360 - degrees)) == degrees
    assert turn_to_upright(np.zeros((48, 64, 3), np.uint8)) == 0
