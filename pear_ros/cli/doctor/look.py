# SPDX-License-Identifier: Apache-2.0
"""What is on the ROS network: `python -m pear_ros.cli.doctor.look SECONDS` prints it as JSON.

Messages are counted as they come, in bytes; one of each topic is looked into.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo

from pear_ros.cli.doctor.heard import IMAGES, Heard, calibration, camera_info_of, content
from pear_ros.ros.node.graph import node_name
from pear_ros.ros.node.qos import REMEDY, incompatible, loss_remedy
from pear_ros.ros.node.subscription import FollowingSubscription

_LOOK_AGAIN = 0.2
"""Seconds between two looks at which topics there are."""
_DEPTH = 5
"""Messages kept of each topic."""
_HUMANS = "pear_msgs/msg/HumanArray"


class Looker:
    """Subscribes to what it finds."""

    def __init__(self, node: Node) -> None:
        """`node` subscribes; somebody else spins it."""
        self._node = node
        self._own = node.get_fully_qualified_name()
        self._heard: dict[str, Heard] = {}
        self._infos: dict[str, CameraInfo] = {}
        self._clocks: list[float] = []
        self._subscriptions: dict[str, FollowingSubscription] = {}

    def subscribe(self) -> None:
        """To all topics of interest that are new, and to the others as their publishers offer."""
        for subscription in self._subscriptions.values():
            subscription.follow("auto")
        for topic, kinds in self._node.get_topic_names_and_types():
            if topic in self._subscriptions:
                continue
            for kind in kinds:
                if kind in IMAGES or kind == _HUMANS:
                    self._listen(topic, kind)
                elif kind == "sensor_msgs/msg/CameraInfo":
                    self._subscribe(CameraInfo, topic, self._take_info(topic))
                elif topic == "/clock" and kind == "rosgraph_msgs/msg/Clock":
                    self._subscribe(Clock, topic, self._take_clock)

    def report(self) -> dict[str, Any]:
        """All that was seen, as JSON can hold it."""
        others = {
            f"{namespace.rstrip('/')}/{name}"
            for name, namespace in self._node.get_node_names_and_namespaces()
        } - {self._own}
        return {
            "nodes": sorted(others),
            "topics": [self._topic(name, heard) for name, heard in sorted(self._heard.items())],
            "camera_infos": sorted(self._infos),
            "clock": {
                "publishers": self._publishers("/clock"),
                "messages": len(self._clocks),
                "backwards": any(later < earlier for earlier, later in pairwise(self._clocks)),
            },
            "clashes": self._clashes(),
            "loss_remedy": loss_remedy(),
        }

    def _listen(self, topic: str, kind: str) -> None:
        message_type = _humans_type() if kind == _HUMANS else IMAGES[kind]
        if message_type is None:
            return
        heard = self._heard[topic] = Heard(kind)
        self._subscribe(message_type, topic, heard.take, raw=True, heard=heard)

    def _subscribe(
        self,
        kind: Any,
        topic: str,
        take: Callable[[Any], None],
        raw: bool = False,
        heard: Heard | None = None,
    ) -> None:
        def count_lost(event: Any) -> None:
            if heard:
                heard.lost += event.total_count_change

        self._subscriptions[topic] = FollowingSubscription(
            self._node, kind, topic, take, _DEPTH, message_lost=count_lost, raw=raw
        )

    def _take_info(self, topic: str) -> Callable[[CameraInfo], None]:
        def take(info: CameraInfo) -> None:
            self._infos[topic] = info

        return take

    def _take_clock(self, clock: Clock) -> None:
        self._clocks.append(clock.clock.sec + 1e-9 * clock.clock.nanosec)

    def _topic(self, name: str, heard: Heard) -> dict[str, Any]:
        found = content(heard)
        if found.get("readable"):
            info = self._infos.get(camera_info_of(name))
            found["camera_info"] = info and calibration(name, found, info)
        return {
            "topic": name,
            "type": heard.kind,
            "publishers": self._publishers(name),
            "subscribers": len(self._others(self._node.get_subscriptions_info_by_topic(name))),
            **heard.figures(),
            **found,
        }

    def _publishers(self, topic: str) -> list[dict[str, Any]]:
        return [
            {
                "node": node_name(info),
                "reliability": info.qos_profile.reliability.name,
                "durability": info.qos_profile.durability.name,
            }
            for info in self._others(self._node.get_publishers_info_by_topic(topic))
        ]

    def _clashes(self) -> list[dict[str, str]]:
        """Pairs of other nodes whose QoS is incompatible, on all topics."""
        topics = [topic for topic, _ in self._node.get_topic_names_and_types()]
        return [
            {"text": str(pair), "advice": REMEDY}
            for pair in incompatible(self._node, topics)
            if self._own not in (pair.publisher, pair.subscriber)
        ]

    def _others(self, infos: Any) -> list[Any]:
        return [info for info in infos if node_name(info) != self._own]


def _humans_type() -> Any:
    """None where pear_msgs is not built, which is told elsewhere."""
    try:
        from pear_msgs.msg import HumanArray
    except ImportError:
        return None
    return HumanArray


def look(seconds: float) -> dict[str, Any]:
    """What is seen within so many seconds; see Looker.report."""
    context = rclpy.Context()
    rclpy.init(context=context)
    try:
        node = Node(
            f"pear_doctor_{os.getpid()}",
            context=context,
            enable_rosout=False,
            start_parameter_services=False,
        )
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        looker = Looker(node)
        end = time.monotonic() + seconds
        next_look = 0.0
        while (now := time.monotonic()) < end:
            if now >= next_look:
                next_look = now + _LOOK_AGAIN
                looker.subscribe()
            executor.spin_once(timeout_sec=0.05)
        report = looker.report()
        executor.shutdown()
        node.destroy_node()
        return report
    finally:
        rclpy.shutdown(context=context)


def main(arguments: list[str]) -> int:
    """Look for as many seconds as the argument says, and print the report."""
    print(json.dumps(look(float(arguments[0]))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
