# SPDX-License-Identifier: Apache-2.0
"""A subscription whose reliability matches what the publishers of its topic offer.

BEST_EFFORT receives from every publisher, but loses most raw images, which DDS sends in fragments;
RELIABLE has lost fragments sent again, but receives nothing from a best-effort publisher (REP-2003,
docs/troubleshooting.md has measurements).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # ROS 2 Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

from pear_ros.ros.node.parameters import override_of
from pear_ros.ros.node.qos import matching_reliability

_POLICIES = {
    "reliable": ReliabilityPolicy.RELIABLE,
    "best_effort": ReliabilityPolicy.BEST_EFFORT,
}


class FollowingSubscription:
    """Subscribe to one topic, and resubscribe when its reliability has to change.

    A user's `qos_overrides.<topic>.subscription.reliability` (rclpy's parameter) overrides
    it; history and depth can be overridden in the same way.
    """

    def __init__(
        self,
        node: Node,
        message_type: type[Any],
        topic: str,
        callback: Callable[[Any], None],
        depth: int,
        reliability: str = "auto",
        message_lost: Callable[[Any], None] | None = None,
        *,
        raw: bool = False,
    ) -> None:
        """Subscribe to `topic` with a queue of `depth` messages.

        `reliability`: one of pear_ros.core.parameters.RELIABILITIES. `message_lost` is called
        with rclpy's QoSMessageLostInfo when the middleware has lost messages. `raw`:
        `callback` gets serialised messages, as bytes.
        """
        self._node = node
        self._message_type = message_type
        self._topic = node.resolve_topic_name(topic)
        self._callback = callback
        self._depth = depth
        self._message_lost = message_lost
        self._raw = raw
        self._overridden = _is_overridden(node, self._topic)
        self._subscription = self._subscribe(self._required(reliability))

    @property
    def reliability(self) -> ReliabilityPolicy:
        """The reliability requested at this moment."""
        policy: ReliabilityPolicy = self._subscription.qos_profile.reliability
        return policy

    def follow(self, reliability: str) -> None:
        """Resubscribe if the publishers, or `reliability`, require another policy."""
        required = self._required(reliability)
        if required != self.reliability and not self._overridden:
            # Images between the two subscriptions are lost; a publisher of the other reliability
            # that joins a running one is rare.
            self.destroy()
            self._subscription = self._subscribe(required)
            self._node.get_logger().info(f"Subscribed to {self._topic} as {required.name}")

    def destroy(self) -> None:
        """Remove the subscription from the node."""
        self._node.destroy_subscription(self._subscription)

    def _required(self, reliability: str) -> ReliabilityPolicy:
        if reliability in _POLICIES:
            return _POLICIES[reliability]
        return matching_reliability(self._node.get_publishers_info_by_topic(self._topic))

    def _subscribe(self, reliability: ReliabilityPolicy) -> Subscription[Any]:
        policies = [QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH]
        if self._overridden:
            policies.append(QoSPolicyKind.RELIABILITY)
        return self._node.create_subscription(
            self._message_type,
            self._topic,
            self._callback,
            QoSProfile(depth=self._depth, reliability=reliability),
            event_callbacks=SubscriptionEventCallbacks(message_lost=self._message_lost),
            qos_overriding_options=QoSOverridingOptions(policies),
            raw=self._raw,
        )


def _is_overridden(node: Node, topic: str) -> bool:
    """Whether the user set a reliability for `topic` by rclpy's qos_overrides."""
    name = f"qos_overrides.{topic}.subscription.reliability"
    if node.has_parameter(name):  # declared by an earlier subscription that was overridden
        return True
    return bool(override_of(node, name, "").value != "")
