# SPDX-License-Identifier: Apache-2.0
"""Tells of nodes that cannot talk with this one, as they want another quality of service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.qos import qos_policy_name_from_kind

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # ROS 2 Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks


class Mismatches:
    """What the middleware has said so far."""

    def __init__(self) -> None:
        self._policies: dict[str, str] = {}

    def of_publisher(self, topic: str) -> PublisherEventCallbacks:
        """To be given to the publisher of `topic`."""
        return PublisherEventCallbacks(incompatible_qos=self._note(topic))

    def of_subscription(
        self, topic: str, message_lost: Callable[[Any], None] | None = None
    ) -> SubscriptionEventCallbacks:
        """To be given to the subscription of `topic`."""
        return SubscriptionEventCallbacks(
            incompatible_qos=self._note(topic), message_lost=message_lost
        )

    @property
    def sentences(self) -> list[str]:
        """One for each topic on which somebody was turned away."""
        return [
            f"somebody on {topic} wants another quality of service ({policy}) than this node has, "
            "so nothing passes between them: ros2 topic info -v shows both"
            for topic, policy in self._policies.items()
        ]

    def _note(self, topic: str) -> Callable[[Any], None]:
        def note(event: Any) -> None:
            self._policies[topic] = qos_policy_name_from_kind(event.last_policy_kind)

        return note
