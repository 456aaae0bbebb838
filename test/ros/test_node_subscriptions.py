# SPDX-License-Identifier: Apache-2.0
"""What the node's subscriptions request of their publishers, over real DDS."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

import rclpy
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from pear_msgs.msg import HumanArray
from pear_ros.ros.node import reporter
from pear_ros.ros.node.graph import silence_reason
from pear_ros.ros.running import StartError
from testing.ros_bench import Bench, image

MakeBench = Callable[..., Bench]

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
IMAGES = 8

CAMERA = f"""
import array, time, rclpy
from sensor_msgs.msg import Image
rclpy.init()
node = rclpy.create_node("camera")
publisher = node.create_publisher(Image, "image", {IMAGES})
picture = Image(height=480, width=640, encoding="bgr8", step=1920)
picture.data = array.array("B", bytes(480 * 1920))
while publisher.get_subscription_count() == 0:
    time.sleep(0.02)
for second in range({IMAGES}):
    picture.header.stamp.sec = second + 1
    publisher.publish(picture)
    time.sleep(0.2)
"""
"""A camera in a process of its own: within one process, images need no transport."""


def requested(bench: Bench, topic: str = "/image") -> list[ReliabilityPolicy]:
    subscriptions = bench.node.subscriptions
    return [s.qos_profile.reliability for s in subscriptions if s.topic_name == topic]


@contextmanager
def publisher(bench: Bench, reliability: ReliabilityPolicy) -> Iterator[Any]:
    profile = QoSProfile(depth=1, reliability=reliability)
    publisher = bench.client.create_publisher(ImageMessage, "image", profile)
    yield publisher
    bench.client.destroy_publisher(publisher)


def test_large_raw_images_all_arrive(bench: Bench) -> None:
    with subprocess.Popen([sys.executable, "-c", CAMERA]):
        bench.wait_statistic("received", IMAGES)
    assert bench.node.statistics.lost == 0


def test_reliability_follows_the_publishers(bench: Bench) -> None:
    humans = bench.subscribe(HumanArray, "humans")
    assert requested(bench) == [RELIABLE], "while there is no publisher"
    with publisher(bench, RELIABLE) as reliable:
        bench.wait(reliable.get_subscription_count)
        reliable.publish(image(1))
        bench.wait_for(1, humans)
        with publisher(bench, BEST_EFFORT) as best_effort:
            bench.wait(lambda: requested(bench) == [BEST_EFFORT])
            bench.wait(
                lambda: (
                    best_effort.get_subscription_count() == 1
                    and reliable.get_subscription_count() == 1
                )
            )
            best_effort.publish(image(2))
            bench.wait_for(2, humans)
            reliable.publish(image(3))
            bench.wait_for(3, humans)
        bench.wait(lambda: requested(bench) == [RELIABLE])
        bench.wait(reliable.get_subscription_count)
        reliable.publish(image(4))
        bench.wait_for(4, humans)


def test_reliability_is_a_live_parameter(make_bench: MakeBench) -> None:
    bench = make_bench(image_reliability="best_effort")
    assert requested(bench) == [BEST_EFFORT]
    with publisher(bench, RELIABLE):
        bench.node.set_parameters([Parameter("image_reliability", value="reliable")])
        bench.wait(lambda: requested(bench) == [RELIABLE])
        bench.node.set_parameters([Parameter("image_reliability", value="best_effort")])
        bench.wait(lambda: requested(bench) == [BEST_EFFORT])


def test_an_incompatible_publisher_is_named(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    bench = make_bench(image_reliability="reliable")
    monkeypatch.setattr(
        bench.node._throttled_logger, "warning", lambda cause, text: warned.append(text)
    )
    with publisher(bench, BEST_EFFORT):
        bench.wait(lambda: warned)
    (text, *_) = warned
    assert "/pear receives nothing from /client on /image" in text
    assert "Best effort publisher and reliable subscription; let the sub" in text


def test_qos_overrides_come_first(make_bench: MakeBench) -> None:
    name = "qos_overrides./image.subscription"
    bench = make_bench(**{f"{name}.reliability": "best_effort", f"{name}.depth": 3})
    for _ in range(2):
        (subscription,) = (s for s in bench.node.subscriptions if s.topic_name == "/image")
        assert subscription.qos_profile.reliability == BEST_EFFORT
        assert subscription.qos_profile.depth == 3
        bench.node.trigger_deactivate()
        bench.node.trigger_activate()
    with publisher(bench, RELIABLE) as reliable:
        bench.wait(reliable.get_subscription_count)
        bench.node._inputs._update_qos()
        assert requested(bench) == [BEST_EFFORT]


@pytest.mark.parametrize("topic", ["/image", "/camera_info"])
def test_a_refused_override_is_the_reason_of_the_failure(make_bench: MakeBench, topic: str) -> None:
    name = f"qos_overrides.{topic}.subscription.reliability"
    with pytest.raises(StartError, match="best-effort"):
        make_bench(**{name: "best-effort"})
    bench = make_bench(autostart=False, **{name: "best-effort"})
    for _ in range(2):
        bench.node.trigger_configure()
        assert bench.node.trigger_activate() != TransitionCallbackReturn.SUCCESS
        assert not requested(bench, "/image") and not requested(bench, "/camera_info")


@pytest.mark.parametrize(
    ("kind", "topic", "says"),
    [
        (None, "/image", "is the topic remapped, and is image_transport right?"),
        (ImageMessage, "/front/image", "Images are published on /front/image"),
        (CompressedImage, "/image", "CompressedImage, expected is sensor_msgs/msg/Image"),
        (ImageMessage, "/image", "/camera publishes it, but sends nothing: does the camera run?"),
    ],
)
def test_why_nothing_arrives(bench: Bench, kind: Any, topic: str, says: str) -> None:
    context = rclpy.Context()  # one DDS participant has one type for each topic
    rclpy.init(context=context)
    camera = Node("camera", context=context)
    if kind:
        camera.create_publisher(kind, topic, 1)
    bench.wait(lambda: silence_reason(bench.node, "/image").endswith(says))
    camera.destroy_node()
    rclpy.shutdown(context=context)


def test_the_silence_is_explained_in_diagnostics(
    make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporter, "_SILENCE_SECONDS", 0.5)
    warned: list[str] = []
    bench = make_bench()
    monkeypatch.setattr(
        bench.node._throttled_logger, "warning", lambda cause, text: warned.append(text)
    )
    bench.wait(lambda: warned)
    assert warned[0].startswith("Nothing on /image, 0 publishers, requested RELIABLE, for 0 s: is")
