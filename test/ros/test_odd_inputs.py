# SPDX-License-Identifier: Apache-2.0
"""First-day inputs: what the node says of them, counts, and makes of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("vision_msgs", reason="needs the messages of vision_msgs")

from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, CompressedImage
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from pear_msgs.msg import HumanArray
from pear_ros.core.camera import IntrinsicsSource
from pear_ros.core.parameters import Parameters
from pear_ros.ros.conversion.frame_input import DETECTIONS, IMAGE, FrameAssembler
from pear_ros.ros.conversion.input_watch import InputWatch
from pear_ros.ros.conversion.messages import image_message
from pear_ros.ros.node.node import PearNode
from testing.ros_bench import Bench, header, image
from testing.tiny_pipeline import TinyPipeline, picture

MakeBench = Callable[..., Bench]


class Lines(list[str]):
    """A logger that keeps warnings."""

    warning = list.append


def warnings_of(bench: Bench) -> Lines:
    lines = bench.node._throttled_logger._logger = Lines()
    return lines


def one(lines: Lines, part: str) -> str:
    """The only line with `part`."""
    (line,) = (line for line in lines if part in line)
    return line


def test_a_placeholder_gives_way_to_the_field_of_view(bench: Bench) -> None:
    lines, humans = warnings_of(bench), bench.subscribe(HumanArray, "humans")
    k = [1.0, 0, 32, 0, 1, 24, 0, 0, 1]
    bench.publish(CameraInfo(width=64, height=48, k=k, d=[0.0] * 5, distortion_model="plumb_bob"))
    for second in range(1, 4):
        bench.publish(image(second, 0))
        bench.wait_for(second, humans)
    assert bench.pipeline.cameras[-1].source is IntrinsicsSource.FIELD_OF_VIEW
    assert humans[-1].intrinsics_source == HumanArray.INTRINSICS_FIELD_OF_VIEW
    # An image may come before the CameraInfo, which is another line.
    assert one(lines, "CameraInfo on /camera_info: K is a placeholder: fx 1 and fy 1 for 64 x 48")
    assert bench.node.statistics.issues["no intrinsics"] == 3


def detections(second: float, class_id: str | None, x: float = 20.0) -> Detection2DArray:
    found = Detection2D()
    found.bbox.center.position.x, found.bbox.center.position.y = x, 20.0
    found.bbox.size_x = found.bbox.size_y = 8.0
    if class_id is not None:
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = class_id, 0.9
        found.results = [result]
    return Detection2DArray(header=header(second), detections=[found])


@pytest.mark.parametrize(
    ("class_id", "x", "says"),
    [
        ("0", 20.0, "their classes are '0' with scores up to 0.90, wanted is 'person' with 0.3"),
        (None, 20.0, "they have no class, wanted is 'person' with 0.3 or more: set"),
        ("Person", 500.0, "reach from x 496, y 16 to x 504, y 24, but images on /image have 64"),
        ("person", 20.0, ""),
    ],
)
def test_detections_that_are_of_no_use_are_named(
    make_bench: MakeBench, class_id: str | None, x: float, says: str
) -> None:
    bench = make_bench(detector="topic", sync_timeout=10.0)
    lines, humans = warnings_of(bench), bench.subscribe(HumanArray, "humans")
    for second in range(1, 8):
        bench.publish(image(second))
        bench.publish(detections(second, class_id, x), "detections")
        bench.wait_for(second, humans)
    if says:
        assert says in one(lines, "/detections")
        assert max(bench.node.statistics.issues.values()) >= 3
    else:
        assert not any("/detections" in line for line in lines)


def test_time_goes_on_while_stamps_stand_still(bench: Bench) -> None:
    lines, humans = warnings_of(bench), bench.subscribe(HumanArray, "humans")
    for count in range(1, 11):
        bench.publish(image(0.0, 0))
        bench.wait_for(count, humans)
    assert all(after > before for before, after in pairwise(bench.pipeline.stamps))
    assert bench.pipeline.resets == 1, "at the start"
    assert "Stamps on /image stand still at 0.000000 s" in one(lines, "stand still")
    assert bench.node.statistics.issues["image: stamps stand still"] == 9


def test_frames_that_tf_refuses_are_mended(bench: Bench) -> None:
    lines, humans = warnings_of(bench), bench.subscribe(HumanArray, "humans")
    for count, frame in enumerate(("/camera", "", "camera"), start=1):
        sent = image(count, 0)
        sent.header.frame_id = frame
        bench.publish(sent)
        bench.wait_for(count, humans)
    assert [message.header.frame_id for message in humans] == ["camera", "", "camera"]
    assert "frame_id '/camera' begins with a slash" in one(lines, "slash")
    assert "frame_id is empty" in one(lines, "empty")


def test_pictures_that_declare_a_huge_size_do_not_stop_the_node(make_bench: MakeBench) -> None:
    bench = make_bench(image_transport="compressed")
    lines, humans = warnings_of(bench), bench.subscribe(HumanArray, "humans")
    data = bytearray(cv2.imencode(".png", picture(0))[1].tobytes())
    data[16:24] = (30_000).to_bytes(4, "big") * 2
    good = cv2.imencode(".png", picture(0))[1].tobytes()
    for count, sent in enumerate((bytes(data), good), start=1):
        bench.publish(CompressedImage(header=header(count), format="png", data=sent))
        bench.wait_statistic(("refused", "processed")[count - 1], 1)
    bench.wait_for(1, humans)
    assert "30000 x 30000 pixels: more than max_pixels = 50000000" in one(
        lines, "/image/compressed"
    )
    assert bench.node.statistics.issues["refused: too large"] == 1


def test_unique_encodings_do_not_flood_the_log(bench: Bench) -> None:
    lines, _ = warnings_of(bench), bench.subscribe(HumanArray, "humans")
    for count in range(1, 101):
        sent = image(count)
        sent.encoding = f"odd{count}" if count % 2 else "x" * 2000 + str(count)
        bench.publish(sent)
        bench.wait_statistic("refused", count)
    assert len(lines) <= 45
    assert len(bench.node.statistics.issues) <= 45


@pytest.mark.parametrize(
    ("topic", "kind"),
    [
        ("/cam/depth", ImageMessage),
        ("/cam/depth/compressedDepth", CompressedImage),
        ("/cam/depth/compressed", CompressedImage),
    ],
)
def test_depth_is_compressed_where_its_topic_says_so(
    executor: Any, topic: str, kind: type[Any]
) -> None:
    node = PearNode(
        lambda parameters: TinyPipeline(),
        context=executor.context,
        cli_args=["--ros-args", "-r", f"depth:={topic}"],
        parameter_overrides=[Parameter("depth", value=True)],
    )
    try:
        node.autostart()
        (found,) = (one for one in node.subscriptions if one.topic_name == topic)
        assert found.msg_type is kind
    finally:
        node.destroy_node()


class Scene:
    """Images in which a square moves, or none does, watched without a node."""

    def __init__(self, still: bool = False) -> None:
        self.watch, self.still = InputWatch(), still
        self.assemble = FrameAssembler({IMAGE: "/image", DETECTIONS: ""})

    def causes(self, images: int, persons: tuple[Any, ...] = ()) -> list[str]:
        found = []
        for n in range(images):
            shown = picture(0 if self.still else n % 4)
            sent = image_message(shown, Header(frame_id="camera"))
            sent.header.stamp.nanosec = 10_000_000 * (n + 1)
            parameters = Parameters()
            frame = self.assemble(sent, {}, parameters)
            _, issues = self.watch(frame, n * 10_000_000, ("/image", ""), parameters)
            issues += self.watch.found(frame.image, persons, "/image", parameters)
            found += [issue.cause for issue in issues]
        return found


def test_nobody_in_a_hundred_images_of_a_moving_scene_is_said_once() -> None:
    assert Scene().causes(99) == []
    assert Scene().causes(400) == ["nobody found"]
    assert Scene(still=True).causes(400) == [], "an empty room is no fault"


def test_a_hundred_images_with_a_person_are_no_fault(bench: Bench) -> None:
    humans = bench.subscribe(HumanArray, "humans")
    bench.publish(image(1, 0))
    bench.wait_for(1, humans)
    person = bench.pipeline._person(0, bench.pipeline._person(0, 2).state)
    assert Scene().causes(400, (person,)) == []


def test_the_sentence_about_nobody_names_what_to_check() -> None:
    scene = Scene()
    scene.causes(99)
    frame = np.zeros((48, 64, 3), np.uint8)
    scene.watch.unseen = 99
    (issue,) = scene.watch.found(frame, (), "/image", Parameters())
    assert "parameter rotate, now 0" in issue.text and "min_detection_score" in issue.text
    assert "brighten the image" in issue.text
