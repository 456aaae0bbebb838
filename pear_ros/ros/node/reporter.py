# SPDX-License-Identifier: Apache-2.0
"""Monitor the node once a second, for /diagnostics and for warnings in the log."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.node import Node

from pear_ros.core.estimator import DeviceLostError
from pear_ros.ros.node.diagnostics import Report, diagnostic_array
from pear_ros.ros.node.graph import silence_reason
from pear_ros.ros.node.image_statistics import Statistics, StatisticsCollector
from pear_ros.ros.node.qos import REMEDY, incompatible, loss_remedy
from pear_ros.ros.node.throttled_logger import ThrottledLogger

if TYPE_CHECKING:
    from pear_ros.pipeline import Pipeline

_PERIOD_SECONDS = 1.0
_RATE_PERIODS = 10
"""Periods over which rates are averaged."""
_SILENCE_SECONDS = 5.0
"""Time without a message after which an input topic is reported."""


class Reporter:
    """Report on a node in every state of its life cycle."""

    def __init__(
        self, node: Node, statistics: StatisticsCollector, logger: ThrottledLogger
    ) -> None:
        """Report on `node`, until it is destroyed."""
        self.pipeline: Pipeline | None = None
        """The pipeline in use; None while none is loaded."""
        self._lost: DeviceLostError | None = None
        self._node = node
        self._statistics = statistics
        self._logger = logger
        self._state = "unconfigured"
        self._topics: Mapping[str, str] = {}
        self._state_start = 0.0
        self._history: deque[tuple[float, Statistics]] = deque(maxlen=_RATE_PERIODS + 1)
        self._publisher = node.create_publisher(DiagnosticArray, "/diagnostics", 1)
        clock = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        node.create_timer(_PERIOD_SECONDS, self._update, clock=clock)

    def set_state(self, state: str, topics: Mapping[str, str] | None = None) -> None:
        """Set the state of the node, in which it subscribes to `topics` (names by kind)."""
        self._state = state
        self._topics = topics or {}
        self._state_start = time.perf_counter()
        self._history.clear()

    def report_lost(self, error: DeviceLostError) -> None:
        """End the node: publish `error` with the next update, and raise it in the executor.

        May be called from any thread.
        """
        self._node.get_logger().fatal(f"The node ends, as its device failed: {error}")
        self._lost = error

    def _update(self) -> None:
        lost = self._lost
        self._history.append((time.perf_counter(), self._statistics.snapshot()))
        if self._topics:
            self._node.get_logger().debug(str(self._history[-1][1]))
        warnings = self._warnings()
        for cause, text in warnings.items():
            self._logger.warning(cause, text)
        if self._publisher.get_subscription_count():
            pipeline = self.pipeline
            report = Report(
                state=self._state,
                statistics=self._history[-1][1],
                rates=self._rates(),
                topics={kind: self._description(topic) for kind, topic in self._topics.items()},
                warnings=list(warnings.values()),
                model_id=pipeline.model_id if pipeline else "",
                diagnostics=pipeline.diagnostics if pipeline else {},
                failure=str(lost) if lost else "",
            )
            name = self._node.get_fully_qualified_name()
            now = self._node.get_clock().now().to_msg()
            self._publisher.publish(diagnostic_array(report, name, now))
        if lost:
            raise lost

    def _rates(self) -> dict[str, float]:
        (start, before), (end, now) = self._history[0], self._history[-1]
        if end == start:
            return {}
        return {
            "image rate": (now.received - before.received) / (end - start),
            "processing rate": (now.processed - before.processed) / (end - start),
        }

    def _description(self, topic: str) -> str:
        """Name of a topic, its number of publishers, and the reliability that the node requests."""
        requested = {
            subscription.qos_profile.reliability.name
            for subscription in self._node.subscriptions
            if subscription.topic_name == topic
        }
        text = f"{topic}, {self._node.count_publishers(topic)} publishers"
        return f"{text}, requested {' and '.join(requested)}" if requested else text

    def _warnings(self) -> dict[str, str]:
        """Sentences for the user, by cause."""
        warnings = {}
        seconds = time.perf_counter() - self._state_start
        for kind, topic in self._topics.items():
            if min(self._statistics.seconds_since_arrival(kind), seconds) >= _SILENCE_SECONDS:
                silent = f"Nothing on {self._description(topic)}, for {_SILENCE_SECONDS:.0f} s"
                reason = silence_reason(self._node, topic)
                warnings[f"silence of {kind}"] = f"{silent}: {reason}"
        before, now = self._history[0][1], self._history[-1][1]
        received, lost = now.received - before.received, now.lost - before.lost
        if lost > received:
            warnings["lost"] = self._loss(received, lost)
        own = self._node.get_fully_qualified_name()
        topics = {publisher.topic_name for publisher in self._node.publishers}
        topics |= {subscription.topic_name for subscription in self._node.subscriptions}
        for pair in incompatible(self._node, sorted(topics)):
            if own in (pair.publisher, pair.subscriber):
                warnings[str(pair)] = f"{pair}; {REMEDY}"
        return warnings

    def _loss(self, received: int, lost: int) -> str:
        return (
            f"Of {received + lost} images on {self._topics.get('image')}, {lost} were lost by "
            f"the middleware: let the camera publish reliably, {loss_remedy()}, or set "
            "image_transport to compressed"
        )
