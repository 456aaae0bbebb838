# SPDX-License-Identifier: Apache-2.0
"""Queries of the ROS graph: publishers of images, and why no message arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rclpy.node import Node

from pear_ros.ros.topics import COMPRESSED_IMAGE_TYPE, IMAGE_TYPE

if TYPE_CHECKING:
    from rclpy.topic_endpoint_info import TopicEndpointInfo

_IMAGE_TYPES = {IMAGE_TYPE, COMPRESSED_IMAGE_TYPE}
_MOST_TOPICS = 3
"""Number of topics that a sentence lists."""


def node_name(endpoint: TopicEndpointInfo) -> str:
    """Return the full name of the node that an endpoint belongs to."""
    return f"{endpoint.node_namespace.rstrip('/')}/{endpoint.node_name}"


def image_topics(node: Node) -> list[str]:
    """Return the full names of image topics, raw or compressed, that other nodes publish."""
    own = {publisher.topic_name for publisher in node.publishers}
    return [
        name
        for name, types in node.get_topic_names_and_types()
        if _IMAGE_TYPES.intersection(types) and name not in own and node.count_publishers(name)
    ]


def silence_reason(node: Node, topic: str) -> str:
    """Return why `node` receives nothing on `topic` (full name), as the end of a sentence."""
    publishers = node.get_publishers_info_by_topic(topic)
    if not publishers:
        advice = "is the topic remapped, and is image_transport right?"
        elsewhere = ", ".join(image_topics(node)[:_MOST_TOPICS])
        return f"{advice} Images are published on {elsewhere}" if elsewhere else advice
    own = node.get_fully_qualified_name()
    subscriptions = node.get_subscriptions_info_by_topic(topic)
    expected = sorted({one.topic_type for one in subscriptions if node_name(one) == own})
    offered = sorted({one.topic_type for one in publishers})
    if not set(offered) & set(expected):
        return f"it is published as {' and '.join(offered)}, expected is {' and '.join(expected)}"
    names = " and ".join(sorted({node_name(one) for one in publishers}))
    return f"{names} publishes it, but sends nothing: does the camera run?"
