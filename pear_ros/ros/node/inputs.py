# SPDX-License-Identifier: Apache-2.0
"""The node's subscriptions: images and calibration and, where they are asked for, who is in the
image and how far everything is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from pear_ros.core.parameters import Parameters
from pear_ros.ros.node.subscription import FollowingSubscription
from pear_ros.ros.node.worker import DEPTH, DETECTIONS, Worker
from pear_ros.ros.running import StartError

_NEWEST = 1
"""Messages kept of what holds until the next comes."""
_RECENT = 5
"""Messages kept of images and of what is matched with them: several arrive at once where the
middleware sends again what was lost. The inbox drops all but the newest, and counts them."""
_FOLLOW_SECONDS = 0.2
"""Period at which the publishers' QoS is looked at."""


class Inputs:
    """Feeds a worker from the topics that the parameters ask for."""

    def __init__(
        self,
        node: Node,
        parameters: Parameters,
        worker: Worker,
        topics: Mapping[str, str],
    ) -> None:
        """`topics`: those of `input_topics`. Raises StartError as `detections_type` does."""
        self._node = node
        self._worker = worker
        self._subscriptions: list[FollowingSubscription] = []
        kind = CompressedImage if parameters.image_transport == "compressed" else ImageMessage
        self._subscribe(kind, topics["image"], worker.put, _RECENT, worker.count_lost)
        self._subscribe(CameraInfo, "camera_info", worker.set_camera_info, _NEWEST)
        if DETECTIONS in topics:
            self._subscribe(detections_type(), topics[DETECTIONS], worker.put_detections, _RECENT)
        if DEPTH in topics:
            self._subscribe(ImageMessage, topics[DEPTH], worker.put_depth, _RECENT)
        clock = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self._timer = node.create_timer(_FOLLOW_SECONDS, self._follow, clock=clock)

    def _subscribe(
        self,
        kind: type[Any],
        topic: str,
        callback: Callable[[Any], None],
        depth: int,
        message_lost: Callable[[Any], None] | None = None,
    ) -> None:
        reliability = self._worker.parameters.image_reliability
        self._subscriptions.append(
            FollowingSubscription(
                self._node, kind, topic, callback, depth, reliability, message_lost
            )
        )

    def _follow(self) -> None:
        for subscription in self._subscriptions:
            subscription.follow(self._worker.parameters.image_reliability)

    def destroy(self) -> None:
        """Takes the subscriptions off the node."""
        self._node.destroy_timer(self._timer)
        for subscription in self._subscriptions:
            subscription.destroy()


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
