# SPDX-License-Identifier: Apache-2.0
"""Durations of each processed image on topics of their own, for plots."""

from __future__ import annotations

import time

from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Float64


class DebugTimes:
    """Publish durations in milliseconds below debug/, on topics that have a subscriber.

    `pipeline_latency_ms`: from the stamp of the image until its results are published, by the
    node's clock. `processing_time_ms`: the part of it spent in the node. `cyclic_time_ms`: from the
    start of the image before to the start of this one.
    """

    def __init__(self, node: LifecycleNode) -> None:
        """Create the publishers on `node`."""
        self._node = node
        self._latency, self._processing, self._cyclic = (
            node.create_publisher(Float64, f"debug/{name}_ms", 1)
            for name in ("pipeline_latency", "processing_time", "cyclic_time")
        )
        self._last_start: float | None = None

    def publish(self, stamp: int, started: float) -> None:
        """Publish for an image of this `stamp`, nanoseconds, whose processing began at `started`.

        `started`: seconds of time.perf_counter.
        """
        last, self._last_start = self._last_start, started
        if self._latency.get_subscription_count():
            now = self._node.get_clock().now().nanoseconds
            self._latency.publish(Float64(data=1e-6 * (now - stamp)))
        if self._processing.get_subscription_count():
            self._processing.publish(Float64(data=1e3 * (time.perf_counter() - started)))
        if last is not None and self._cyclic.get_subscription_count():
            self._cyclic.publish(Float64(data=1e3 * (started - last)))

    def destroy(self) -> None:
        """Remove the publishers from the node."""
        for publisher in (self._latency, self._processing, self._cyclic):
            self._node.destroy_publisher(publisher)
