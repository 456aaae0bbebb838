# SPDX-License-Identifier: Apache-2.0
"""Statistics of a topic's messages, the content of one image, and its calibration."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage
from sensor_msgs.msg import Image as ImageMessage

from pear_ros.cli.doctor.network_report import (
    Calibration,
    DetectionsReport,
    ImageSample,
    Oddity,
)
from pear_ros.cli.doctor.orientation import turn_to_upright
from pear_ros.core.frame_clock import FrameClock
from pear_ros.core.parameters import Parameters
from pear_ros.ros.conversion.detections import Detected, people_in
from pear_ros.ros.conversion.encodings import encoding_name
from pear_ros.ros.conversion.frame_input import frame_of
from pear_ros.ros.conversion.images import ImageError, bgr_from_compressed, bgr_from_image
from pear_ros.ros.conversion.input_watch import (
    none_accepted_note,
    outside_note,
    timing_note,
)
from pear_ros.ros.conversion.intrinsics import CalibrationError, camera_from_info, is_rectified
from pear_ros.ros.conversion.notes import Note
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
    clock: FrameClock = field(default_factory=FrameClock)
    faults: dict[str, int] = field(default_factory=dict)
    """Last stamp, nanoseconds, of each fault that stamps have."""

    def add(self, message: bytes) -> None:
        """Add a serialised message that begins with a std_msgs/Header."""
        now = time.monotonic()
        if not self.count:
            self.first, self.first_time = bytes(message), now
        self.last_time = now
        self.count += 1
        self.total_size += len(message)
        stamp = _stamp(message)
        self.ages.append(time.time() - 1e-9 * stamp)
        if fault := self.clock(stamp, round(1e9 * now)).fault:
            self.faults[fault] = stamp

    def oddities(self, topic: str) -> tuple[Oddity, ...]:
        """Return what is odd in the stamps of `topic`."""
        notes = [timing_note(fault, stamp, topic) for fault, stamp in self.faults.items()]
        if not self.faults and self.count and self.clock.stamp == 0:
            text = f"Stamps on {topic} are 0"
            notes.append(Note("stamps of 0", text, "let the camera's driver stamp its images"))
        return _oddities(notes)

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


@dataclass
class DetectionStatistics:
    """Detections of a topic, updated with each message."""

    last: list[Detected] = field(default_factory=list)
    """Those of each message."""

    def add(self, message: Any) -> None:
        """Add a vision_msgs/Detection2DArray."""
        defaults = Parameters()
        self.last.append(people_in(message, defaults.detection_classes, defaults.detection_score))

    def report(self, topic: str, images: dict[str, tuple[int, int]]) -> DetectionsReport:
        """Return the report about `topic`; `images`: width and height of images, by topic."""
        people = sum(len(one.people) for one in self.last)
        notes = []
        unused = [one for one in self.last if one.none_accepted]
        if unused and not people:
            notes.append(none_accepted_note(unused[-1], topic, Parameters()))
        for detected in reversed(self.last):
            reasons = {name: detected.misses(*size) for name, size in images.items()}
            if reasons and all(reasons.values()):
                name, reason = next(iter(reasons.items()))
                notes.append(outside_note(reason, name, topic, *images[name]))
                break
        boxes = sum(one.boxes for one in self.last)
        return DetectionsReport(topic, len(self.last), boxes, people, _oddities(notes))


def _oddities(notes: Iterable[Note]) -> tuple[Oddity, ...]:
    return tuple(Oddity(*note) for note in notes)


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
            readable=bool(encoding_name(message.encoding)),
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
    notes: list[Note] = []
    try:
        camera_from_info(info, sample.width, sample.height, rectified, notes)
    except CalibrationError as error:
        problem = str(error)
    return Calibration(
        info.header.frame_id, info.distortion_model, problem is None, problem, _oddities(notes)
    )


def _decoded(sample: ImageSample, decode: Callable[..., Any], message: Any) -> ImageSample:
    """Return the sample with the size of its image, or with the reason why there is none."""
    notes: list[Note] = []
    try:
        picture = decode(message, notes=notes)
    except ImageError as error:
        return replace(sample, problem=str(error))
    frame_of(message.header.frame_id, notes)
    if turn := turn_to_upright(picture):
        text = f"People are upright once the images are turned by {turn} degrees"
        notes.append(Note("not upright", text, f"set the parameter rotate to {turn}"))
    height, width = picture.shape[:2]
    return replace(sample, width=width, height=height, oddities=_oddities(notes))


def _stamp(message: bytes) -> int:
    """Return the stamp of the header at the beginning of a serialised message, nanoseconds."""
    order = "<" if message[1] & 1 else ">"
    seconds, nanoseconds = struct.unpack_from(f"{order}iI", message, 4)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
