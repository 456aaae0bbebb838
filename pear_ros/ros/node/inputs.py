# SPDX-License-Identifier: Apache-2.0
"""The node's subscriptions: images, camera_info and, if configured, detections and depth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from pear_ros.core.parameters import Parameters
from pear_ros.ros.conversion.frame_input import CAMERA_INFO, DEPTH, DETECTIONS, IMAGE
from pear_ros.ros.node.processor import ImageProcessor
from pear_ros.ros.node.subscription import FollowingSubscription
from pear_ros.ros.running import StartError
from pear_ros.ros.topics import COMPRESSED, COMPRESSED_DEPTH

_LATEST = 1
"""Queue size of camera_info, of which each message replaces the one before."""
_QUEUE_SIZE = 5
"""Queue size of images and of what is synchronised with them: several arrive at once when the
middleware resends lost ones. The synchroniser drops and counts all but the newest."""
_QOS_PERIOD_SECONDS = 0.2
"""Period at which the reliability is matched to the publishers'."""


class Inputs:
    """The subscriptions of an ImageProcessor."""

    def __init__(
        self,
        node: Node,
        processor: ImageProcessor,
        topics: Mapping[str, str],
    ) -> None:
        """Subscribe to `topics`, those of `input_topics`, as the processor's parameters ask for.

        Raises StartError without vision_msgs.
        """
        self._node = node
        self._processor = processor
        self._subscriptions: list[FollowingSubscription] = []
        clock = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self._timer = node.create_timer(_QOS_PERIOD_SECONDS, self._update_qos, clock=clock)
        try:
            self._subscribe_all(topics)
        except Exception:
            self.destroy()
            raise

    def _subscribe_all(self, topics: Mapping[str, str]) -> None:
        processor = self._processor
        compressed = processor.parameters.image_transport == "compressed"
        kind = CompressedImage if compressed else ImageMessage
        self._subscribe(kind, topics[IMAGE], processor.add_image, _QUEUE_SIZE, processor.count_lost)
        self._subscribe(CameraInfo, CAMERA_INFO, processor.set_camera_info, _LATEST)
        if DETECTIONS in topics:
            self._subscribe(
                detections_type(), topics[DETECTIONS], processor.add_detections, _QUEUE_SIZE
            )
        if DEPTH in topics:
            packed = topics[DEPTH].endswith((COMPRESSED, COMPRESSED_DEPTH))
            depth = CompressedImage if packed else ImageMessage
            self._subscribe(depth, topics[DEPTH], processor.add_depth, _QUEUE_SIZE)

    def _subscribe(
        self,
        kind: type[Any],
        topic: str,
        callback: Callable[[Any], None],
        depth: int,
        message_lost: Callable[[Any], None] | None = None,
    ) -> None:
        reliability = self._processor.parameters.image_reliability
        self._subscriptions.append(
            FollowingSubscription(
                self._node, kind, topic, callback, depth, reliability, message_lost
            )
        )

    def _update_qos(self) -> None:
        for subscription in self._subscriptions:
            subscription.follow(self._processor.parameters.image_reliability)

    def destroy(self) -> None:
        """Remove the subscriptions from the node."""
        self._node.destroy_timer(self._timer)
        for subscription in self._subscriptions:
            subscription.destroy()


def input_topics(node: Node, parameters: Parameters) -> dict[str, str]:
    """Return the resolved names of the topics to subscribe to, by kind."""
    image = node.resolve_topic_name("image")
    if parameters.image_transport == "compressed":
        # image_transport appends the transport's name to the topic's resolved name.
        image = f"{image}{COMPRESSED}"
    topics = {IMAGE: image}
    if parameters.detector == "topic":
        topics[DETECTIONS] = node.resolve_topic_name("detections")
    if parameters.depth:
        topics[DEPTH] = node.resolve_topic_name("depth")
    return topics


def detections_type() -> type[Any]:
    """Return vision_msgs/Detection2DArray. Raises StartError if vision_msgs is not installed."""
    try:
        from vision_msgs.msg import Detection2DArray
    except ImportError as error:
        raise StartError(
            "Parameter detector is 'topic', which needs the messages of vision_msgs: install "
            "ros-<distribution>-vision-msgs, for example ros-jazzy-vision-msgs"
        ) from error
    kind: type[Any] = Detection2DArray
    return kind
