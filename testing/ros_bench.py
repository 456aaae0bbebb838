# SPDX-License-Identifier: Apache-2.0
"""A node under test and a client, on real DDS in one executor: what tests of the node need."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

from builtin_interfaces.msg import Time
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header

from pear_ros.core.parameters import Parameters
from pear_ros.ros.conversion.messages import image_message
from pear_ros.ros.node.node import PearNode
from testing.tiny_pipeline import TinyPipeline, picture

TIMEOUT_SECONDS = 20.0
TOPICS = {ImageMessage: "image", CompressedImage: "image/compressed", CameraInfo: "camera_info"}


def header(second: float) -> Header:
    whole = int(second // 1)
    return Header(
        frame_id="camera_optical",
        stamp=Time(sec=whole, nanosec=round((second - whole) * 1e9)),
    )


def image(second: float, *squares: int) -> ImageMessage:
    """Return an image stamped `second` in which the tiny pipeline finds a person in each square."""
    return image_message(picture(*squares), header(second))


class Bench:
    """PearNode around a pipeline, and a client that publishes images and collects results."""

    def __init__(
        self, executor: SingleThreadedExecutor, pipeline: Any = None, **values: Any
    ) -> None:
        # Nodes of earlier tests have the same names, by which the ROS graph mixes them up.
        gc.collect()
        self.executor = executor
        self.pipeline = pipeline or TinyPipeline()
        self.client = Node("client", context=executor.context)
        self.node = PearNode(
            self._build,
            context=executor.context,
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
        )
        for node in (self.client, self.node):
            executor.add_node(node)
        self.subscriptions: dict[str, Any] = {}
        self.publishers: dict[str, Any] = {}
        self.node.autostart()

    def _build(self, parameters: Parameters) -> Any:
        if self.pipeline is None:
            raise RuntimeError("there is no pipeline")
        return self.pipeline

    def wait(self, condition: Callable[[], object]) -> None:
        """Spins until the condition holds."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"timed out; {self.node.statistics}"
            self.executor.spin_once(timeout_sec=0.02)

    def wait_for(self, count: int, *collections: list[Any]) -> None:
        """Spins until `count` messages are in each of the collections."""
        self.wait(lambda: all(len(collection) >= count for collection in collections))

    def wait_statistic(self, name: str, value: int) -> None:
        """Spins until one of the node's counts has the value."""
        self.wait(lambda: getattr(self.node.statistics, name) == value)

    def subscribe(self, kind: type, topic: str) -> list[Any]:
        """The growing list of what arrives on a result's topic; returns once it is connected."""
        arrived: list[Any] = []
        self.subscriptions[topic] = self.client.create_subscription(
            kind, topic, arrived.append, QoSProfile(depth=10)
        )
        self.wait(lambda: getattr(self.node.watched, topic.replace("/", "_")))
        return arrived

    def unsubscribe(self, topic: str) -> None:
        """Stops listening; returns once the node has noticed."""
        self.client.destroy_subscription(self.subscriptions.pop(topic))
        self.wait(lambda: not getattr(self.node.watched, topic.replace("/", "_")))

    def publish(self, message: Any, topic: str = "") -> None:
        """Publishes on a topic, by default that of its type, once the node is connected."""
        topic = topic or TOPICS[type(message)]
        if topic not in self.publishers:
            publisher = self.client.create_publisher(type(message), topic, QoSProfile(depth=1))
            self.publishers[topic] = publisher
            self.wait(lambda: publisher.get_subscription_count() > 0)
        self.publishers[topic].publish(message)

    def close(self) -> None:
        """Takes both nodes away."""
        if isinstance(self.pipeline, TinyPipeline):
            self.pipeline.gate.set()
        for node in (self.client, self.node):
            self.executor.remove_node(node)
            node.destroy_node()
