# SPDX-License-Identifier: Apache-2.0
"""Statistics of a topic's messages, the content of one image, and its calibration."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from pear_ros.cli.doctor.network_report import Calibration, ImageSample
from pear_ros.ros.conversion.images import (
    ENCODINGS,
    ImageError,
    bgr_from_compressed,
    bgr_from_image,
)
from pear_ros.ros.conversion.intrinsics import CalibrationError, camera_from_info, is_rectified
from pear_ros.ros.topics import COMPRESSED, COMPRESSED_IMAGE_TYPE, IMAGE_TYPE

IMAGE_TYPES = {
    IMAGE_TYPE: ImageMessage,
    COMPRESSED_IMAGE_TYPE: CompressedImage,
}
"""Types of image topics, by name."""
_DEPTH_ENCODINGS = ("16UC1", "32FC1")


@dataclass
class TopicStatistics:
    """Statistics of the serialised messages of one topic, updated with each message."""

    type_name: str
    """Message type, as in sensor_msgs/msg/Image."""
    first: bytes = b""
    """First message received, serialised; empty without messages."""
    count: int = 0
    """Number of messages received."""
    total_size: int = 0
    """Size of all messages together, bytes."""
    lost: int = 0
    """Number of messages that the middleware reported as lost."""
    first_time: float = 0.0
    """Monotonic time at which the first message was received, seconds."""
    last_time: float = 0.0
    """Monotonic time at which the last message was received, seconds."""
    ages: list[float] = field(default_factory=list)
    """Time from the stamp of each message to its reception, seconds."""

    def add(self, message: bytes) -> None:
        """Add a serialised message that begins with a std_msgs/Header."""
        now = time.monotonic()
        if not self.count:
            self.first, self.first_time = bytes(message), now
        self.last_time = now
        self.count += 1
        self.total_size += len(message)
        self.ages.append(time.time() - _stamp(message))

    @property
    def rate(self) -> float | None:
        """Mean rate of the messages, Hz; None for fewer than two messages."""
        span = self.last_time - self.first_time
        return (self.count - 1) / span if self.count > 1 and span > 0.0 else None

    @property
    def mean_size(self) -> int | None:
        """Mean size of a message, bytes; None without messages."""
        return self.total_size // self.count if self.count else None

    @property
    def median_age(self) -> float | None:
        """Median time from a stamp to the reception, seconds; None without messages."""
        return sorted(self.ages)[len(self.ages) // 2] if self.ages else None


def inspect_image(statistics: TopicStatistics) -> ImageSample:
    """Return the content of the first message, empty where it is none or no image."""
    if not statistics.first or statistics.type_name not in IMAGE_TYPES:
        return ImageSample()
    message = deserialize_message(statistics.first, IMAGE_TYPES[statistics.type_name])
    if statistics.type_name == IMAGE_TYPE:
        sample = ImageSample(
            frame_id=message.header.frame_id,
            encoding=message.encoding,
            width=message.width,
            height=message.height,
            depth=message.encoding in _DEPTH_ENCODINGS,
            readable=message.encoding in ENCODINGS,
        )
        return _decoded(sample, bgr_from_image, message) if sample.readable else sample
    sample = ImageSample(
        frame_id=message.header.frame_id,
        encoding=message.format,
        depth="compressedDepth" in message.format,
    )
    if sample.depth:
        return sample
    sample = _decoded(sample, bgr_from_compressed, message)
    return replace(sample, readable=sample.problem is None)


def calibration(image: str, sample: ImageSample, info: CameraInfo) -> Calibration:
    """Return what `info` says about images such as `sample`, which is decoded, of topic `image`."""
    assert sample.width is not None and sample.height is not None
    rectified = is_rectified("auto", image.removesuffix(COMPRESSED))
    problem = None
    try:
        camera_from_info(info, sample.width, sample.height, rectified)
    except CalibrationError as error:
        problem = str(error)
    return Calibration(info.header.frame_id, info.distortion_model, problem is None, problem)


def _decoded(sample: ImageSample, decode: Callable[[Any], Any], message: Any) -> ImageSample:
    """Return the sample with the size of its image, or with the reason why there is none."""
    try:
        height, width = decode(message).shape[:2]
    except ImageError as error:
        return replace(sample, problem=str(error))
    return replace(sample, width=width, height=height)


def _stamp(message: bytes) -> float:
    """Return the stamp of the header at the beginning of a serialised message, seconds."""
    order = "<" if message[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", message, 4)
    return float(seconds + 1e-9 * nanoseconds)
