# SPDX-License-Identifier: Apache-2.0
"""The node's subscriptions: images and calibration and, where they are asked for, who is in the
image and how far everything is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from pear_ros.ros.parameters import Parameters
from pear_ros.ros.qos import Mismatches
from pear_ros.ros.running import StartError
from pear_ros.ros.worker import DEPTH, DETECTIONS, Worker

_NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Best effort takes from every publisher (REP-2003). Of images only the newest counts."""
_RECENT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Of what has to meet its image."""


class Inputs:
    """Feeds a worker from the topics that the parameters ask for."""

    def __init__(
        self,
        node: Node,
        parameters: Parameters,
        worker: Worker,
        topics: Mapping[str, str],
        mismatches: Mismatches,
    ) -> None:
        """`topics`: those of `input_topics`. Raises StartError as `detections_type` does."""
        self._node = node
        self._mismatches = mismatches
        self._subscriptions: list[Subscription[Any]] = []
        kind = CompressedImage if parameters.image_transport == "compressed" else ImageMessage
        self._subscribe(kind, topics["image"], worker.put, _NEWEST, worker.count_lost)
        self._subscribe(CameraInfo, "camera_info", worker.set_camera_info, _NEWEST)
        if DETECTIONS in topics:
            self._subscribe(detections_type(), topics[DETECTIONS], worker.put_detections, _RECENT)
        if DEPTH in topics:
            self._subscribe(ImageMessage, topics[DEPTH], worker.put_depth, _RECENT)

    def _subscribe(
        self,
        kind: type[Any],
        topic: str,
        take: Callable[[Any], None],
        profile: QoSProfile,
        lost: Callable[[Any], None] | None = None,
    ) -> None:
        callbacks = self._mismatches.of_subscription(topic, lost)
        self._subscriptions.append(
            self._node.create_subscription(kind, topic, take, profile, event_callbacks=callbacks)
        )

    def destroy(self) -> None:
        """Takes the subscriptions off the node."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)


def input_topics(node: Node, parameters: Parameters) -> dict[str, str]:
    """Resolved names of the topics that are awaited: image and, where asked for, the others."""
    image = node.resolve_topic_name("image")
    if parameters.image_transport == "compressed":
        # image_transport's rule: the transport's name goes behind the topic's final name.
        image = f"{image}/compressed"
    topics = {"image": image}
    if parameters.detector == "topic":
        topics[DETECTIONS] = node.resolve_topic_name("detections")
    if parameters.depth:
        topics[DEPTH] = node.resolve_topic_name("depth")
    return topics


def detections_type() -> type[Any]:
    """vision_msgs/Detection2DArray. Raises StartError where vision_msgs is not installed."""
    try:
        from vision_msgs.msg import Detection2DArray
    except ImportError as error:
        raise StartError(
            "Parameter detector is 'topic', which needs the messages of vision_msgs: install "
            "ros-<distribution>-vision-msgs, for example ros-jazzy-vision-msgs"
        ) from error
    kind: type[Any] = Detection2DArray
    return kind
