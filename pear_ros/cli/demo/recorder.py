# SPDX-License-Identifier: Apache-2.0
"""Recording of topics into an MCAP bag for Foxglove, RViz and `ros2 bag`, without rosbag2.

Messages are written in their serialised form. Raw images may be written as JPEG, since they would
take about 150 MB per second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.interfaces import Connection
from rosbags.typesys import Stores
from rosbags.typesys.store import Typestore
from sensor_msgs.msg import CompressedImage

from pear_ros.bags.pear_messages import pear_typestore
from pear_ros.bags.writing import QUEUE, add_topic, offered, open_writer, type_name
from pear_ros.ros.conversion.images import bgr_from_image
from pear_ros.ros.conversion.messages import jpeg_message


@dataclass(frozen=True)
class Topic:
    """A topic to record."""

    name: str
    message_type: type[Any]
    latched: bool = False
    """Whether the topic is offered with transient local durability."""
    as_jpeg: bool = False
    """Whether sensor_msgs/Image are written as CompressedImage on `name`/compressed."""

    @property
    def recorded_name(self) -> str:
        """The topic's name in the bag."""
        return f"{self.name}/compressed" if self.as_jpeg else self.name


class Recorder:
    """Subscribes to topics, writes them to a bag, and keeps the times of reception.

    The recording time of messages is `stamp_ns`, which the player sets, not that of reception: so a
    bag that was recorded slowly plays at the speed of its source.
    """

    def __init__(self, node: Node, folder: Path, topics: Sequence[Topic]) -> None:
        """Begin to record into `folder`, which must not exist; another thread spins `node`."""
        self.stamp_ns = time.time_ns()
        self._arrivals: dict[str, list[float]] = {topic.name: [] for topic in topics}
        self._newest: dict[str, bytes] = {}
        self._arrived = threading.Condition()
        self._writer = open_writer(folder, "mcap")
        typestore = pear_typestore(Stores.ROS2_JAZZY)
        assert typestore is not None, "pear_msgs can be imported, so its definitions are there"
        self._subscriptions = [self._subscribe(node, topic, typestore) for topic in topics]

    def count(self, name: str) -> int:
        """Return the number of messages received on a topic."""
        return len(self._arrivals[name])

    def last_arrival(self, name: str) -> float:
        """Return the reception time of a topic's newest message, by time.perf_counter()."""
        return self._arrivals[name][-1]

    def newest(self, name: str, message_type: type[Any]) -> Any:
        """Return the newest message of a topic, deserialised; not for `as_jpeg` topics."""
        return deserialize_message(self._newest[name], message_type)

    def wait_for(self, counts: dict[str, int], timeout_seconds: float) -> bool:
        """Wait until each topic has at least so many messages; return False on a timeout."""
        with self._arrived:
            return self._arrived.wait_for(
                lambda: all(self.count(name) >= count for name, count in counts.items()),
                timeout_seconds,
            )

    def close(self) -> None:
        """Complete the bag; the node must no longer be spun."""
        self._writer.close()

    def _subscribe(self, node: Node, topic: Topic, typestore: Typestore) -> Any:
        recorded_type = CompressedImage if topic.as_jpeg else topic.message_type
        kind, offers = type_name(recorded_type), [offered(topic.latched)]
        connection = add_topic(self._writer, topic.recorded_name, kind, typestore, offers)

        def receive(data: bytes) -> None:
            self._receive(topic, connection, data)

        qos = QoSProfile(depth=QUEUE)
        if topic.latched:
            qos.durability = DurabilityPolicy.TRANSIENT_LOCAL
        return node.create_subscription(topic.message_type, topic.name, receive, qos, raw=True)

    def _receive(self, topic: Topic, connection: Connection, data: bytes) -> None:
        now = time.perf_counter()
        if topic.as_jpeg:
            message = deserialize_message(data, topic.message_type)
            picture = jpeg_message(bgr_from_image(message), message.header)
            data = serialize_message(picture)
        else:
            self._newest[topic.name] = data
        self._writer.write(connection, self.stamp_ns, data)
        with self._arrived:
            self._arrivals[topic.name].append(now)
            self._arrived.notify_all()
