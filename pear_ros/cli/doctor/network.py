# SPDX-License-Identifier: Apache-2.0
"""Observe the ROS network: `python -m pear_ros.cli.doctor.network SECONDS` prints a report as JSON.

Messages are counted as serialised bytes; one of each image topic is deserialised.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo

from pear_ros.cli.doctor.network_report import (
    ClockReport,
    DetectionsReport,
    NetworkReport,
    Publisher,
    QosConflict,
    TopicFailure,
    TopicReport,
)
from pear_ros.cli.doctor.topic_statistics import (
    IMAGE_TYPES,
    DetectionStatistics,
    TopicStatistics,
    calibration,
    inspect_image,
)
from pear_ros.ros.node.graph import node_name
from pear_ros.ros.node.qos import REMEDY, incompatible, loss_remedy
from pear_ros.ros.node.subscription import FollowingSubscription
from pear_ros.ros.topics import (
    CAMERA_INFO_TYPE,
    DETECTIONS_TYPE,
    HUMANS_TYPE,
    camera_info_topic,
)

_DISCOVERY_PERIOD = 0.2
"""Seconds between two queries for new topics."""
_QUEUE_DEPTH = 5
"""Messages kept of each topic."""


class NetworkObserver:
    """Subscribes to images, calibrations, people and /clock as their topics appear."""

    def __init__(self, node: Node) -> None:
        """Create the observer; `node` holds its subscriptions, and the caller spins it."""
        self._node = node
        self._own = node.get_fully_qualified_name()
        self._statistics: dict[str, TopicStatistics] = {}
        self._infos: dict[str, CameraInfo] = {}
        self._detections: dict[str, DetectionStatistics] = {}
        self._clocks: list[float] = []
        self._failures: dict[str, str] = {}
        """Reasons why topics cannot be observed, by topic; the others are observed nevertheless."""
        self._subscriptions: dict[str, FollowingSubscription] = {}

    def subscribe(self) -> None:
        """Subscribe to new topics, and adapt the QoS of the others to their publishers."""
        for topic, subscription in self._subscriptions.items():
            with self._failure_of(topic):
                subscription.follow("auto")
        for topic, kinds in self._node.get_topic_names_and_types():
            if topic in self._subscriptions or topic in self._failures:
                continue
            with self._failure_of(topic):
                for kind in kinds:
                    if kind in IMAGE_TYPES or kind == HUMANS_TYPE:
                        self._count(topic, kind)
                    elif kind == CAMERA_INFO_TYPE:
                        self._subscribe(CameraInfo, topic, self._take_info(topic))
                    elif kind == DETECTIONS_TYPE:
                        self._subscribe_detections(topic)
                    elif topic == "/clock" and kind == "rosgraph_msgs/msg/Clock":
                        self._subscribe(Clock, topic, self._take_clock)

    def report(self) -> NetworkReport:
        """Return everything that was observed so far."""
        others = {
            f"{namespace.rstrip('/')}/{name}"
            for name, namespace in self._node.get_node_names_and_namespaces()
        } - {self._own}
        topics = self._topics()
        return NetworkReport(
            nodes=tuple(sorted(others)),
            topics=topics,
            detections=self._detections_reports(topics),
            failures=tuple(TopicFailure(*failure) for failure in sorted(self._failures.items())),
            camera_infos=tuple(sorted(self._infos)),
            clock=ClockReport(
                publishers=self._publishers("/clock"),
                messages=len(self._clocks),
                backwards=any(later < earlier for earlier, later in pairwise(self._clocks)),
            ),
            conflicts=self._conflicts(),
            loss_remedy=loss_remedy(),
        )

    @contextmanager
    def _failure_of(self, topic: str) -> Iterator[None]:
        """Keep what the middleware, or a message of `topic`, raises, as the topic's failure."""
        try:
            yield
        except Exception as error:
            reason = " ".join(str(error).split())
            self._failures[topic] = f"{type(error).__name__}: {reason}"

    def _count(self, topic: str, kind: str) -> None:
        """Subscribe to serialised messages, for their statistics."""
        message_type = _humans_type() if kind == HUMANS_TYPE else IMAGE_TYPES[kind]
        if message_type is None:
            return
        statistics = self._statistics[topic] = TopicStatistics(kind)
        self._subscribe(message_type, topic, statistics.add, raw=True, statistics=statistics)

    def _subscribe(
        self,
        kind: Any,
        topic: str,
        callback: Callable[[Any], None],
        raw: bool = False,
        statistics: TopicStatistics | None = None,
    ) -> None:
        def take(message: Any) -> None:
            with self._failure_of(topic):
                callback(message)

        def count_lost(event: Any) -> None:
            if statistics:
                statistics.lost += event.total_count_change

        self._subscriptions[topic] = FollowingSubscription(
            self._node, kind, topic, take, _QUEUE_DEPTH, message_lost=count_lost, raw=raw
        )

    def _subscribe_detections(self, topic: str) -> None:
        """Subscribe to detections; where vision_msgs is missing, another check says so."""
        try:
            from vision_msgs.msg import Detection2DArray
        except ImportError:
            return
        statistics = self._detections[topic] = DetectionStatistics()
        self._subscribe(Detection2DArray, topic, statistics.add)

    def _detections_reports(self, topics: Sequence[TopicReport]) -> tuple[DetectionsReport, ...]:
        sizes = {
            topic.topic: (topic.width, topic.height)
            for topic in topics
            if topic.width is not None and topic.height is not None
        }
        return tuple(
            statistics.report(topic, sizes)
            for topic, statistics in sorted(self._detections.items())
            if topic not in self._failures
        )

    def _take_info(self, topic: str) -> Callable[[CameraInfo], None]:
        def take(info: CameraInfo) -> None:
            self._infos[topic] = info

        return take

    def _take_clock(self, clock: Clock) -> None:
        self._clocks.append(clock.clock.sec + 1e-9 * clock.clock.nanosec)

    def _topics(self) -> tuple[TopicReport, ...]:
        reports = []
        for name, statistics in sorted(self._statistics.items()):
            if name not in self._failures:
                with self._failure_of(name):
                    reports.append(self._topic(name, statistics))
        return tuple(reports)

    def _topic(self, name: str, statistics: TopicStatistics) -> TopicReport:
        sample = inspect_image(statistics)
        decoded = sample.readable and sample.problem is None
        info = self._infos.get(camera_info_topic(name)) if decoded else None
        sample = replace(sample, oddities=(*sample.oddities, *statistics.oddities(name)))
        return TopicReport(
            topic=name,
            type=statistics.type_name,
            publishers=self._publishers(name),
            subscribers=len(self._others(self._node.get_subscriptions_info_by_topic(name))),
            messages=statistics.count,
            rate=statistics.rate,
            bytes=statistics.mean_size,
            lost=statistics.lost,
            age=statistics.median_age,
            camera_info=calibration(name, sample, info) if info else None,
            **vars(sample),
        )

    def _publishers(self, topic: str) -> tuple[Publisher, ...]:
        return tuple(
            Publisher(
                node=node_name(info),
                reliability=info.qos_profile.reliability.name,
                durability=info.qos_profile.durability.name,
            )
            for info in self._others(self._node.get_publishers_info_by_topic(topic))
        )

    def _conflicts(self) -> tuple[QosConflict, ...]:
        """Return pairs of other nodes whose QoS is incompatible, on all topics."""
        topics = [topic for topic, _ in self._node.get_topic_names_and_types()]
        return tuple(
            QosConflict(str(pair), REMEDY)
            for pair in incompatible(self._node, topics)
            if self._own not in (pair.publisher, pair.subscriber)
        )

    def _others(self, infos: Any) -> list[Any]:
        return [info for info in infos if node_name(info) != self._own]


def _humans_type() -> Any:
    """Return the class of HUMANS_TYPE; None where pear_msgs is not built, which a check reports."""
    try:
        from pear_msgs.msg import HumanArray
    except ImportError:
        return None
    return HumanArray


def observe(seconds: float) -> NetworkReport:
    """Observe the network for so many seconds and return the report."""
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
        observer = NetworkObserver(node)
        end = time.monotonic() + seconds
        next_discovery = 0.0
        while (now := time.monotonic()) < end:
            if now >= next_discovery:
                next_discovery = now + _DISCOVERY_PERIOD
                observer.subscribe()
            executor.spin_once(timeout_sec=0.05)
        report = observer.report()
        executor.shutdown()
        node.destroy_node()
        return report
    finally:
        rclpy.shutdown(context=context)


def main(arguments: list[str]) -> int:
    """Observe for as many seconds as the first argument says, and print the report."""
    print(observe(float(arguments[0])).to_json(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
