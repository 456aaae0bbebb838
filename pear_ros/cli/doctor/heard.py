# SPDX-License-Identifier: Apache-2.0
"""What came on a topic: how often, how old, and what is in one picture."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from pear_ros.ros.conversion.images import (
    ENCODINGS,
    ImageError,
    bgr_from_compressed,
    bgr_from_image,
)
from pear_ros.ros.conversion.intrinsics import CalibrationError, camera_from_info, is_rectified

IMAGES = {
    "sensor_msgs/msg/Image": ImageMessage,
    "sensor_msgs/msg/CompressedImage": CompressedImage,
}
"""Types of image topics, by name."""
_DEPTH_ENCODINGS = ("16UC1", "32FC1")


@dataclass
class Heard:
    """Messages of one topic."""

    kind: str
    first: bytes = b""
    count: int = 0
    size: int = 0
    """Of all messages, bytes."""
    lost: int = 0
    began: float = 0.0
    ended: float = 0.0
    ages: list[float] = field(default_factory=list)
    """Of the stamps when the messages came, seconds."""

    def take(self, message: bytes) -> None:
        """A message as it comes over the wire."""
        now = time.monotonic()
        if not self.count:
            self.first, self.began = bytes(message), now
        self.ended = now
        self.count += 1
        self.size += len(message)
        self.ages.append(time.time() - _stamp(message))

    def figures(self) -> dict[str, Any]:
        """Rate in Hz (None for fewer than two messages), and so on."""
        span = self.ended - self.began
        return {
            "messages": self.count,
            "rate": (self.count - 1) / span if self.count > 1 and span > 0.0 else None,
            "bytes": self.size // self.count if self.count else None,
            "lost": self.lost,
            "age": sorted(self.ages)[len(self.ages) // 2] if self.ages else None,
        }


def content(heard: Heard) -> dict[str, Any]:
    """What the first message of an image topic holds."""
    if not heard.first or heard.kind not in IMAGES:
        return {}
    message = deserialize_message(heard.first, IMAGES[heard.kind])
    content: dict[str, Any] = {"frame_id": message.header.frame_id, "problem": None}
    if heard.kind == "sensor_msgs/msg/Image":
        content |= {name: getattr(message, name) for name in ("encoding", "width", "height")}
        content["depth"] = message.encoding in _DEPTH_ENCODINGS
        readable = message.encoding in ENCODINGS
        content["readable"] = readable
        if readable:
            content["problem"] = _problem(bgr_from_image, message, content)
    else:
        content["encoding"] = message.format
        content["depth"] = "compressedDepth" in message.format
        if not content["depth"]:
            content["problem"] = _problem(bgr_from_compressed, message, content)
        content["readable"] = not content["depth"] and content["problem"] is None
    return content


def calibration(image: str, content: dict[str, Any], info: CameraInfo) -> dict[str, Any]:
    """What a CameraInfo says about the pictures of the topic `image`."""
    rectified = is_rectified("auto", image.removesuffix("/compressed"))
    problem = None
    try:
        camera_from_info(info, content["width"], content["height"], rectified)
    except CalibrationError as error:
        problem = str(error)
    return {
        "frame_id": info.header.frame_id,
        "model": info.distortion_model,
        "calibrated": problem is None,
        "problem": problem,
    }


def camera_info_of(image: str) -> str:
    """Where image_transport looks for the calibration of an image topic."""
    base = image.removesuffix("/compressed").removesuffix("/compressedDepth")
    return f"{base.rpartition('/')[0]}/camera_info"


def _problem(read: Callable[[Any], Any], message: Any, content: dict[str, Any]) -> str | None:
    """What keeps a picture from being read; else its size goes into `content`."""
    try:
        content["height"], content["width"] = read(message).shape[:2]
    except ImageError as error:
        return str(error)
    return None


def _stamp(message: bytes) -> float:
    """Seconds of the header with which a serialised message begins."""
    order = "<" if message[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", message, 4)
    return float(seconds + 1e-9 * nanoseconds)
