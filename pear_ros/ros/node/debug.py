# SPDX-License-Identifier: Apache-2.0
"""Times of each processed image on topics of their own, for plots."""

from __future__ import annotations

import time

from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Float64


class DebugTimes:
    """Publishes below debug/, in milliseconds, while somebody subscribes.

    `pipeline_latency_ms`: from the stamp of the image to its results being published, by the node's
    clock. `processing_time_ms`: of that, what was spent here. `cyclic_time_ms`: between the
    beginnings of this image's processing and the last one's.
    """

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._latency, self._processing, self._cyclic = (
            node.create_publisher(Float64, f"debug/{name}_ms", 1)
            for name in ("pipeline_latency", "processing_time", "cyclic_time")
        )
        self._last_start: float | None = None

    def publish(self, stamp: int, started: float) -> None:
        """For an image of this `stamp` (nanoseconds), worked on since `started` (perf_counter)."""
        last, self._last_start = self._last_start, started
        if self._latency.get_subscription_count():
            now = self._node.get_clock().now().nanoseconds
            self._latency.publish(Float64(data=1e-6 * (now - stamp)))
        if self._processing.get_subscription_count():
            self._processing.publish(Float64(data=1e3 * (time.perf_counter() - started)))
        if last is not None and self._cyclic.get_subscription_count():
            self._cyclic.publish(Float64(data=1e3 * (started - last)))

    def destroy(self) -> None:
        """Takes the publishers off the node."""
        for publisher in (self._latency, self._processing, self._cyclic):
            self._node.destroy_publisher(publisher)
