# SPDX-License-Identifier: Apache-2.0
"""Bags of camera images, as rosbag2 records them, written by `rosbags`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2
import numpy as np
from mcap.writer import Writer as McapWriter
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.rosbag2.metadata import dump_qos_v8
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from pear_ros.bags.writing import offered
from pear_ros.core.people import Image
from pear_ros.ros.topics import CAMERA_INFO_TYPE, COMPRESSED_IMAGE_TYPE, IMAGE_TYPE

START = 1_700_000_000_000_000_000
PERIOD = 100_000_000
"""Time between two images, nanoseconds."""

_VISION = {
    "Detection2DArray": "std_msgs/Header header\nvision_msgs/Detection2D[] detections",
    "Detection2D": "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
    "vision_msgs/BoundingBox2D bbox\nstring id",
    "ObjectHypothesisWithPose": "vision_msgs/ObjectHypothesis hypothesis\n"
    "geometry_msgs/PoseWithCovariance pose",
    "ObjectHypothesis": "string class_id\nfloat64 score",
    "BoundingBox2D": "vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y",
    "Pose2D": "vision_msgs/Point2D position\nfloat64 theta",
    "Point2D": "float64 x\nfloat64 y",
}

Recorded = tuple[str, int, Any]
"""Topic, recording time in nanoseconds after START, and message."""


def _types() -> Typestore:
    types = get_typestore(Stores.ROS2_HUMBLE)
    for name, text in _VISION.items():
        types.register(get_types_from_msg(text, f"vision_msgs/msg/{name}"))
    return types


TYPES: Any = _types()


def header(stamp: int) -> Any:
    """Return the header of an image taken `stamp` nanoseconds after START."""
    seconds, nanoseconds = divmod(START + stamp, 1_000_000_000)
    time = TYPES.types["builtin_interfaces/msg/Time"](seconds, nanoseconds)
    return TYPES.types["std_msgs/msg/Header"](time, "camera")


def raw(picture: Image, stamp: int, encoding: str = "bgr8") -> Any:
    height, width = picture.shape[:2]
    data = np.ascontiguousarray(picture).view(np.uint8).ravel()
    make = TYPES.types[IMAGE_TYPE]
    return make(header(stamp), height, width, encoding, 0, data.size // height, data)


def jpeg(picture: Image, stamp: int) -> Any:
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].ravel()
    return TYPES.types[COMPRESSED_IMAGE_TYPE](header(stamp), "jpeg", data)


def camera_info(width: int, height: int, focal: float, stamp: int) -> Any:
    k = np.array([focal, 0, width / 2, 0, focal, height / 2, 0, 0, 1], np.float64)
    p = np.insert(k, [3, 6, 9], 0.0)
    region = TYPES.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    make = TYPES.types[CAMERA_INFO_TYPE]
    eye = np.eye(3).ravel()
    return make(header(stamp), height, width, "plumb_bob", np.zeros(5), k, eye, p, 0, 0, region)


def detections(boxes: Sequence[Sequence[float]], stamp: int) -> Any:
    def make(name: str, *values: Any) -> Any:
        return TYPES.types[f"vision_msgs/msg/{name}"](*values)

    found = [
        make(
            "Detection2D",
            header(stamp),
            [],
            make(
                "BoundingBox2D",
                make("Pose2D", make("Point2D", (x0 + x1) / 2, (y0 + y1) / 2), 0.0),
                x1 - x0,
                y1 - y0,
            ),
            "",
        )
        for x0, y0, x1, y1 in boxes
    ]
    return make("Detection2DArray", header(stamp), found)


def write_bag(
    path: Path,
    messages: Iterable[Recorded],
    storage: StoragePlugin = StoragePlugin.MCAP,
    compression: CompressionMode = CompressionMode.NONE,
    version: Any = 9,
    latched: Collection[str] = (),
    silent: Sequence[str] = (),
) -> Path:
    """Write a bag with these messages, in this order; they may be serialised: (type, bytes).

    `silent`: topics of images without messages.
    """
    writer = Writer(path, version=version, storage_plugin=storage)
    writer.set_compression(compression, CompressionFormat.ZSTD)
    connections: dict[str, Any] = {}
    with writer:
        for topic in silent:
            writer.add_connection(topic, IMAGE_TYPE, typestore=TYPES)
        for topic, time, message in messages:
            kind, data = _serialised(message)
            if topic not in connections:
                qos = [offered(topic in latched)]
                connections[topic] = writer.add_connection(
                    topic, kind, typestore=TYPES, offered_qos_profiles=qos
                )
            writer.write(connections[topic], START + time, data)
    return path


def write_mcap(
    path: Path,
    messages: Iterable[Recorded],
    chunked: bool = True,
    definitions: Mapping[str, tuple[str, str]] = MappingProxyType({}),
) -> Path:
    """Write an MCAP file without chunks; `definitions`: encoding and text by type."""
    channels: dict[str, int] = {}
    with path.open("wb") as file:
        writer = McapWriter(file, use_chunking=chunked)
        writer.start("ros2")
        for topic, time, message in messages:
            kind, data = _serialised(message)
            if topic not in channels:
                encoding, text = definitions.get(kind) or (
                    "ros2msg",
                    TYPES.generate_msgdef(kind, ros_version=2)[0],
                )
                schema = writer.register_schema(kind, encoding, text.encode())
                profiles = dump_qos_v8([offered(latched=True)])
                channels[topic] = writer.register_channel(
                    topic, "cdr", schema, {"offered_qos_profiles": profiles}
                )
            writer.add_message(channels[topic], START + time, data, START + time)
        writer.finish()  # type: ignore[no-untyped-call]
    return path


def _serialised(message: Any) -> tuple[str, bytes]:
    if isinstance(message, tuple):
        return message
    kind = message.__msgtype__
    return kind, bytes(TYPES.serialize_cdr(message, kind))
