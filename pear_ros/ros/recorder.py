# SPDX-License-Identifier: Apache-2.0
"""Topics to an MCAP bag that Foxglove, RViz and `ros2 bag` open, without rosbag2 itself.

Messages are written as they came over the wire, never deserialised. Pictures alone are, on wish,
written as JPEG: raw video would be some 150 MB a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore
from sensor_msgs.msg import CompressedImage

import pear_msgs.msg
from pear_ros.people import Image
from pear_ros.ros.images import bgr_from_image

_JPEG_QUALITY = 92
_QUEUE = 50


@dataclass(frozen=True)
class Topic:
    """A topic to record."""

    name: str
    message_type: type[Any]
    latched: bool = False
    as_jpeg: bool = False
    """Of sensor_msgs/Image: written as CompressedImage on the topic `name`/compressed."""

    @property
    def recorded_name(self) -> str:
        """The topic's name in the bag."""
        return f"{self.name}/compressed" if self.as_jpeg else self.name


class Recorder:
    """Subscribes to topics and writes them to a bag; keeps when what arrived.

    Messages are filed under `stamp_ns`, set by the player, instead of the time of arrival: so a bag
    that was recorded slowly plays at the pace of its source.
    """

    def __init__(self, node: Node, folder: Path, topics: Sequence[Topic]) -> None:
        """`folder` must not exist. Callbacks run in whichever thread spins `node`."""
        self.stamp_ns = time.time_ns()
        self._arrivals: dict[str, list[float]] = {topic.name: [] for topic in topics}
        self._newest: dict[str, bytes] = {}
        self._arrived = threading.Condition()
        self._writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._writer.open()
        typestore = _typestore()
        self._subscriptions = [self._subscribe(node, topic, typestore) for topic in topics]

    def count(self, name: str) -> int:
        """How many messages arrived on a topic."""
        return len(self._arrivals[name])

    def last_arrival(self, name: str) -> float:
        """When the newest message of a topic arrived, by time.perf_counter()."""
        return self._arrivals[name][-1]

    def newest(self, name: str, message_type: type[Any]) -> Any:
        """The newest message of a topic, deserialised; the topic must not be `as_jpeg`."""
        return deserialize_message(self._newest[name], message_type)

    def wait_for(self, counts: dict[str, int], timeout_seconds: float) -> bool:
        """Wait until each topic has at least so many messages; False when the time is over."""
        with self._arrived:
            return self._arrived.wait_for(
                lambda: all(self.count(name) >= count for name, count in counts.items()),
                timeout_seconds,
            )

    def close(self) -> None:
        """Finish the bag. Nothing may spin the node any more."""
        self._writer.close()

    def _subscribe(self, node: Node, topic: Topic, typestore: Typestore) -> Any:
        recorded_type = CompressedImage if topic.as_jpeg else topic.message_type
        connection = self._writer.add_connection(
            topic.recorded_name,
            f"{recorded_type.__module__.split('.')[0]}/msg/{recorded_type.__name__}",
            typestore=typestore,
            offered_qos_profiles=[_offered(topic.latched)],
        )

        def receive(data: bytes) -> None:
            self._receive(topic, connection, data)

        qos = QoSProfile(depth=_QUEUE)
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


def jpeg_message(image: Image, header: Any) -> CompressedImage:
    """sensor_msgs/CompressedImage of a BGR picture."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    message = CompressedImage(header=header, format="jpeg")
    message.data.frombytes(data.tobytes())
    return message


def _typestore() -> Typestore:
    """Message definitions of ROS 2 and those of pear_msgs, from its installed .msg files."""
    folder = next(
        share
        for parent in Path(pear_msgs.msg.__file__).parents
        if (share := parent / "share" / "pear_msgs" / "msg").is_dir()
    )
    types = {}
    for file in folder.glob("*.msg"):
        types.update(get_types_from_msg(file.read_text(), f"pear_msgs/msg/{file.stem}"))
    typestore = get_typestore(Stores.ROS2_JAZZY)
    typestore.register(types)
    return typestore


def _offered(latched: bool) -> Qos:
    """Reliable, and transient local where a topic is latched, so that a player latches it again."""
    forever = QosTime(2147483647, 4294967295)
    return Qos(
        QosHistory.KEEP_LAST,
        1 if latched else _QUEUE,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        forever,
        forever,
        QosLiveliness.AUTOMATIC,
        forever,
        False,
    )
