# SPDX-License-Identifier: Apache-2.0
"""Quality of service (QoS): reliability to request, and endpoints that are incompatible."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy, qos_check_compatible
from rclpy.utilities import get_rmw_implementation_identifier

from pear_ros.ros.node.graph import node_name

if TYPE_CHECKING:
    from rclpy.topic_endpoint_info import TopicEndpointInfo

REMEDY = "let the subscription request less: reliability best_effort, durability volatile"
"""What to change where QoS is incompatible."""

_LARGE_BUFFERS = "sudo sysctl -w net.core.rmem_max=33554432 net.core.rmem_default=33554432"


def loss_remedy() -> str:
    """Return what to change where large messages are lost, for the middleware in use.

    Measured in benchmarks/results/image_transport.md and image_transport_cyclonedds.md.
    """
    if "fastrtps" in get_rmw_implementation_identifier():
        return (
            "set FASTDDS_BUILTIN_TRANSPORTS=LARGE_DATA for camera and node (Jazzy and later, and "
            "ROS_AUTOMATIC_DISCOVERY_RANGE unset)"
        )
    return f"enlarge the kernel's receive buffers ({_LARGE_BUFFERS})"


class Incompatible(NamedTuple):
    """A publisher and a subscription of one topic that exchange no messages."""

    topic: str
    """Name of the topic."""
    publisher: str
    """Full name of the publishing node."""
    subscriber: str
    """Full name of the subscribing node."""
    reason: str
    """Policies that differ, in rclpy's words."""

    def __str__(self) -> str:
        return (
            f"{self.subscriber} receives nothing from {self.publisher} on {self.topic}, as their "
            f"QoS is incompatible: {self.reason}"
        )


def incompatible(node: Node, topics: Iterable[str]) -> Iterator[Incompatible]:
    """Yield all pairs of endpoints of `topics` (full names) whose QoS is incompatible.

    `node`: any node, for access to the ROS graph; its own endpoints are compared, too.
    """
    for topic in topics:
        subscriptions = node.get_subscriptions_info_by_topic(topic)
        for publisher in node.get_publishers_info_by_topic(topic):
            for subscription in subscriptions:
                _, reason = qos_check_compatible(publisher.qos_profile, subscription.qos_profile)
                if "ERROR" in reason:
                    yield Incompatible(
                        topic,
                        node_name(publisher),
                        node_name(subscription),
                        reason.strip().rstrip(";").removeprefix("ERROR: "),
                    )


def matching_reliability(publishers: Iterable[TopicEndpointInfo]) -> ReliabilityPolicy:
    """Return the strictest reliability that receives from all `publishers`.

    It is RELIABLE if all of them offer it.

    RELIABLE as well while there are none: the first images of a reliable publisher are not lost,
    and a best-effort publisher promises none of its first images anyway.
    """
    offered = {publisher.qos_profile.reliability for publisher in publishers}
    reliable = offered <= {ReliabilityPolicy.RELIABLE}
    return ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
