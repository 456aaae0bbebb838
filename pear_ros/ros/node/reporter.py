# SPDX-License-Identifier: Apache-2.0
"""Looks once a second at how the node is doing: for /diagnostics, and for warnings in the log."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.node import Node

from pear_ros.ros.node.complaints import Complaints
from pear_ros.ros.node.diagnostics import Report, diagnostic_array
from pear_ros.ros.node.graph import silence_reason
from pear_ros.ros.node.metrics import Recorder, Statistics
from pear_ros.ros.node.qos import REMEDY, incompatible, loss_remedy

if TYPE_CHECKING:
    from pear_ros.pipeline import Pipeline

_SECONDS = 1.0
_LOOKS = 10
"""Looks back over which rates are taken."""
_PATIENCE = 5.0
"""Seconds after which an input that is silent is trouble."""


class Reporter:
    """Reports on a node from its beginning to its end, in whatever state it is."""

    def __init__(self, node: Node, recorder: Recorder, complain: Complaints) -> None:
        self.pipeline: Pipeline | None = None
        """The one in use; None: none is loaded."""
        self._node = node
        self._recorder = recorder
        self._complain = complain
        self._state = "unconfigured"
        self._topics: Mapping[str, str] = {}
        self._since = 0.0
        self._past: deque[tuple[float, Statistics]] = deque(maxlen=_LOOKS + 1)
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 1)
        clock = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        node.create_timer(_SECONDS, self._look, clock=clock)

    def enter(self, state: str, topics: Mapping[str, str] | None = None) -> None:
        """The node is in another state now, in which it listens to `topics` (names by kind)."""
        self._state = state
        self._topics = topics or {}
        self._since = time.perf_counter()
        self._past.clear()

    def _look(self) -> None:
        self._past.append((time.perf_counter(), self._recorder.snapshot()))
        if self._topics:
            self._node.get_logger().debug(str(self._past[-1][1]))
        troubles = self._troubles()
        for cause, text in troubles.items():
            self._complain(cause, text)
        if self._publisher.get_subscription_count():
            pipeline = self.pipeline
            report = Report(
                state=self._state,
                statistics=self._past[-1][1],
                rates=self._rates(),
                topics={kind: self._description(topic) for kind, topic in self._topics.items()},
                troubles=list(troubles.values()),
                model_id=pipeline.model_id if pipeline else "",
                diagnostics=pipeline.diagnostics if pipeline else {},
            )
            name = self._node.get_fully_qualified_name()
            now = self._node.get_clock().now().to_msg()
            self._publisher.publish(diagnostic_array(report, name, now))

    def _rates(self) -> dict[str, float]:
        (start, before), (end, now) = self._past[0], self._past[-1]
        if end == start:
            return {}
        return {
            "image rate": (now.received - before.received) / (end - start),
            "processing rate": (now.processed - before.processed) / (end - start),
        }

    def _description(self, topic: str) -> str:
        """A topic, how many publish it, and the reliability with which the node subscribes."""
        requested = {
            subscription.qos_profile.reliability.name
            for subscription in self._node.subscriptions
            if subscription.topic_name == topic
        }
        text = f"{topic}, {self._node.count_publishers(topic)} publishers"
        return f"{text}, requested {' and '.join(requested)}" if requested else text

    def _troubles(self) -> dict[str, str]:
        """Sentences by cause."""
        troubles = {}
        listening = time.perf_counter() - self._since
        for kind, topic in self._topics.items():
            if min(self._recorder.silence(kind), listening) >= _PATIENCE:
                silent = f"Nothing on {self._description(topic)}, for {_PATIENCE:.0f} s"
                reason = silence_reason(self._node, topic)
                troubles[f"silence of {kind}"] = f"{silent}: {reason}"
        before, now = self._past[0][1], self._past[-1][1]
        received, lost = now.received - before.received, now.lost - before.lost
        if lost > received:
            troubles["lost"] = self._loss(received, lost)
        own = self._node.get_fully_qualified_name()
        topics = {publisher.topic_name for publisher in self._node.publishers}
        topics |= {subscription.topic_name for subscription in self._node.subscriptions}
        for pair in incompatible(self._node, sorted(topics)):
            if own in (pair.publisher, pair.subscriber):
                troubles[str(pair)] = f"{pair}; {REMEDY}"
        return troubles

    def _loss(self, received: int, lost: int) -> str:
        return (
            f"Of {received + lost} images on {self._topics.get('image')}, {lost} were lost on the "
            f"way: let the camera publish reliably, {loss_remedy()}, or take image_transport "
            "compressed"
        )
