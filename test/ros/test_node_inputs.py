# SPDX-License-Identifier: Apache-2.0
"""What the node takes beside images, over real DDS: detections and depth of the same moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("vision_msgs", reason="needs the messages of vision_msgs")

from rclpy.parameter import Parameter
from sensor_msgs.msg import Image as ImageMessage
from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

from pear_msgs.msg import HumanArray
from testing.ros_bench import Bench, header, image

MakeBench = Callable[..., Bench]

LONG = 10.0


def detections(second: float, *scores: float, class_id: str = "person") -> Detection2DArray:
    """Detections with these scores, the n-th at pixel (10 n, 20)."""
    found = []
    for number, score in enumerate(scores):
        one = Detection2D()
        one.bbox.center.position.x, one.bbox.center.position.y = 10.0 * number, 20.0
        one.bbox.size_x = one.bbox.size_y = 8.0
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = class_id, score
        one.results = [result]
        found.append(one)
    return Detection2DArray(header=header(second), detections=found)


def depth(second: float, millimetres: int = 1500, width: int = 64) -> ImageMessage:
    data = np.full((48, width), millimetres, np.uint16)
    return ImageMessage(
        header=header(second),
        height=48,
        width=width,
        encoding="16UC1",
        step=2 * width,
        data=data.tobytes(),
    )


def test_detections_go_to_the_pipeline_with_their_image(make_bench: MakeBench) -> None:
    bench = make_bench(detector="topic", sync_timeout=LONG)
    humans = bench.subscribe(HumanArray, "humans")
    for second, scores in ((1, (0.9, 0.1)), (2, ()), (3, (0.5, 0.6))):
        bench.publish(image(second))
        bench.publish(detections(second, *scores), "detections")
        bench.wait_for(second, humans)
    first, second, third = bench.pipeline.detections
    assert [list(found.box) for found in first] == [[-4, 16, 4, 24]]
    assert second == []
    assert [found.score for found in third] == [0.6, 0.5]
    assert bench.node.statistics.missing_detections == 0


def test_an_image_without_detections_is_processed_all_the_same(make_bench: MakeBench) -> None:
    bench = make_bench(detector="topic", sync_timeout=0.02)
    humans = bench.subscribe(HumanArray, "humans")
    bench.publish(image(1))
    bench.wait_for(1, humans)
    assert bench.pipeline.detections == [()], "no new people, tracks continue"
    bench.publish(detections(1, 0.9), "detections")
    bench.wait_statistic("late_detections", 1)
    assert bench.node.statistics.missing_detections == 1


def test_the_class_filter_is_a_live_parameter(make_bench: MakeBench) -> None:
    bench = make_bench(detector="topic", sync_timeout=LONG)
    humans = bench.subscribe(HumanArray, "humans")
    for second, classes in ((1, "person"), (2, "0")):
        bench.node.set_parameters([Parameter("detection_classes", value=classes)])
        bench.publish(image(second))
        bench.publish(detections(second, 0.9, class_id="0"), "detections")
        bench.wait_for(second, humans)
    assert [len(found) for found in bench.pipeline.detections] == [0, 1]


def test_the_built_in_detector_needs_no_topic(bench: Bench) -> None:
    humans = bench.subscribe(HumanArray, "humans")
    bench.publish(image(1))
    bench.wait_for(1, humans)
    assert bench.pipeline.detections == [None]
    assert bench.pipeline.depths == [None]
    assert bench.node.count_subscribers("detections") == 0
    assert bench.node.count_subscribers("depth") == 0


def test_depth_goes_to_the_pipeline_in_metres(make_bench: MakeBench) -> None:
    bench = make_bench(depth=True, sync_timeout=LONG)
    humans = bench.subscribe(HumanArray, "humans")
    bench.publish(depth(1.01), "depth")
    bench.publish(image(1))
    bench.wait_for(1, humans)
    (metres,) = bench.pipeline.depths
    np.testing.assert_array_equal(metres, np.full((48, 64), 1.5, np.float32))


def bad_depth() -> list[Any]:
    encoding, size = depth(1), depth(1, width=32)
    encoding.encoding = "rgb8"
    return [encoding, size]


@pytest.mark.parametrize("bad", bad_depth(), ids=["encoding", "size"])
def test_depth_that_cannot_be_used_does_not_lose_the_image(
    make_bench: MakeBench, bad: ImageMessage
) -> None:
    bench = make_bench(depth=True, sync_timeout=LONG)
    humans = bench.subscribe(HumanArray, "humans")
    bench.publish(bad, "depth")
    bench.publish(image(1, 0))
    bench.wait_for(1, humans)
    assert bench.pipeline.depths == [None]
    assert len(humans[0].humans) == 1
    assert bench.node.statistics.missing_depth == 1
