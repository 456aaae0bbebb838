# SPDX-License-Identifier: Apache-2.0
"""What `pear doctor` observes on the ROS network, as records that JSON carries between processes.

The fields of TopicReport and Calibration are keys of `pear doctor --json`, too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Publisher:
    """A publisher of a topic, with the QoS that it offers."""

    node: str = ""
    """Its node's full name."""
    reliability: str = ""
    """RELIABLE or BEST_EFFORT."""
    durability: str = ""
    """VOLATILE or TRANSIENT_LOCAL."""

    @property
    def description(self) -> str:
        """The node and, in words, its QoS."""
        qos = f"{self.reliability}, {self.durability}".lower().replace("_", " ")
        return f"{self.node} ({qos})"


@dataclass(frozen=True)
class Calibration:
    """What a CameraInfo says about the images of a topic."""

    frame_id: str
    """The frame in its header."""
    model: str = ""
    """Lens distortion model, such as plumb_bob."""
    calibrated: bool = True
    """Whether a camera can be made from it."""
    problem: str | None = None
    """The reason where not."""


@dataclass(frozen=True)
class ImageSample:
    """The content of one image message."""

    frame_id: str | None = None
    """The frame in its header; None, like the rest, where no image was received."""
    problem: str | None = None
    """Why the image cannot be decoded; None where it can be, or was not tried."""
    encoding: str | None = None
    """Image.encoding, or CompressedImage.format."""
    width: int | None = None
    """Pixels, where known."""
    height: int | None = None
    """Pixels, where known."""
    depth: bool = False
    """Whether it is a depth image."""
    readable: bool = False
    """Whether the node decodes images of this encoding."""


@dataclass(frozen=True)
class TopicReport(ImageSample):
    """A topic of images or people: its endpoints, statistics and one sample."""

    topic: str = ""
    """Name."""
    type: str = ""
    """Message type, as in sensor_msgs/msg/Image."""
    publishers: tuple[Publisher, ...] = ()
    subscribers: int = 0
    """Their number, without the doctor's own."""
    messages: int = 0
    """Their number while the topic was observed."""
    rate: float | None = None
    """Hz; None for fewer than two messages."""
    bytes: int | None = None
    """Mean size of a message; None without messages."""
    lost: int = 0
    """Messages that the middleware reported as lost."""
    age: float | None = None
    """Median of the time from a stamp to the reception, seconds; None without messages."""
    camera_info: Calibration | None = None
    """None where no CameraInfo was received beside the images."""


@dataclass(frozen=True)
class ClockReport:
    """The topic /clock."""

    publishers: tuple[Publisher, ...] = ()
    messages: int = 0
    """Their number while it was observed."""
    backwards: bool = False
    """Whether its time jumped back."""


@dataclass(frozen=True)
class QosConflict:
    """A publisher and a subscription of other nodes whose QoS policies are incompatible."""

    text: str
    advice: str


@dataclass(frozen=True)
class TopicFailure:
    """A topic that could not be observed."""

    topic: str
    """Name."""
    reason: str


@dataclass(frozen=True)
class NetworkReport:
    """Everything that was observed."""

    nodes: tuple[str, ...] = ()
    """Full names of the other nodes."""
    topics: tuple[TopicReport, ...] = ()
    failures: tuple[TopicFailure, ...] = ()
    """Topics that could not be observed, and are in none of the other fields."""
    camera_infos: tuple[str, ...] = ()
    """Topics on which a CameraInfo was received."""
    clock: ClockReport = field(default_factory=ClockReport)
    conflicts: tuple[QosConflict, ...] = ()
    loss_remedy: str = ""
    """What to do against lost messages with this middleware."""

    def to_json(self) -> str:
        """Return the report as one line of JSON, for `from_dict`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> NetworkReport:
        """Return the report whose parsed JSON is `content`."""
        return cls(
            nodes=tuple(content["nodes"]),
            topics=tuple(map(_topic, content["topics"])),
            failures=tuple(TopicFailure(**failure) for failure in content["failures"]),
            camera_infos=tuple(content["camera_infos"]),
            clock=ClockReport(**{**content["clock"], **_publishers(content["clock"])}),
            conflicts=tuple(QosConflict(**conflict) for conflict in content["conflicts"]),
            loss_remedy=content["loss_remedy"],
        )


def _topic(content: Mapping[str, Any]) -> TopicReport:
    info = content["camera_info"]
    calibration = None if info is None else Calibration(**info)
    return TopicReport(**{**content, **_publishers(content), "camera_info": calibration})


def _publishers(content: Mapping[str, Any]) -> dict[str, tuple[Publisher, ...]]:
    return {"publishers": tuple(Publisher(**publisher) for publisher in content["publishers"])}
