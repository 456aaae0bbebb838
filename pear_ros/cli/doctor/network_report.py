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
    """Full name of the publishing node."""
    reliability: str = ""
    """Reliability that it offers: RELIABLE or BEST_EFFORT."""
    durability: str = ""
    """Durability that it offers: VOLATILE or TRANSIENT_LOCAL."""

    @property
    def description(self) -> str:
        """Name of the node, followed by its QoS in words."""
        qos = f"{self.reliability}, {self.durability}".lower().replace("_", " ")
        return f"{self.node} ({qos})"


@dataclass(frozen=True)
class Oddity:
    """Something odd in the messages of a topic, which the node uses nevertheless."""

    cause: str
    """Short name of the fault, as in the node's diagnostics."""
    text: str
    """What is odd, and what the node does."""
    remedy: str
    """What the user can do."""


@dataclass(frozen=True)
class Calibration:
    """What a CameraInfo says about the images of a topic."""

    frame_id: str
    """Frame in the header of the CameraInfo."""
    model: str = ""
    """Lens distortion model, such as plumb_bob."""
    calibrated: bool = True
    """Whether a camera can be made from the CameraInfo."""
    problem: str | None = None
    """Why no camera can be made from the CameraInfo; None where one can."""
    oddities: tuple[Oddity, ...] = ()
    """What the node mends in the CameraInfo, or leaves out of it."""


@dataclass(frozen=True)
class ImageSample:
    """The content of one image message."""

    frame_id: str | None = None
    """Frame in the header of the image; None where no image was received."""
    problem: str | None = None
    """Why the image cannot be decoded; None where it can be, or was not tried."""
    encoding: str | None = None
    """Image.encoding or CompressedImage.format; None where no image was received."""
    width: int | None = None
    """Width of the image, pixels; None where unknown."""
    height: int | None = None
    """Height of the image, pixels; None where unknown."""
    depth: bool = False
    """Whether the image is a depth image."""
    readable: bool = False
    """Whether the node decodes images of this encoding."""
    oddities: tuple[Oddity, ...] = ()
    """What is odd in the message."""


@dataclass(frozen=True)
class TopicReport(ImageSample):
    """A topic of images or people: its endpoints, statistics and one sample."""

    topic: str = ""
    """Name of the topic."""
    type: str = ""
    """Message type, as in sensor_msgs/msg/Image."""
    publishers: tuple[Publisher, ...] = ()
    """Publishers of the topic."""
    subscribers: int = 0
    """Number of subscriptions to the topic, without the doctor's own."""
    messages: int = 0
    """Number of messages received while the topic was observed."""
    rate: float | None = None
    """Mean rate of the messages, Hz; None for fewer than two messages."""
    bytes: int | None = None
    """Mean size of a message, bytes; None without messages."""
    lost: int = 0
    """Number of messages that the middleware reported as lost."""
    age: float | None = None
    """Median of the time from a stamp to the reception, seconds; None without messages."""
    camera_info: Calibration | None = None
    """Calibration beside the images; None where no CameraInfo was received."""


@dataclass(frozen=True)
class DetectionsReport:
    """A topic of another detector's detections."""

    topic: str
    """Name of the topic."""
    messages: int = 0
    """Number of messages received while the topic was observed."""
    boxes: int = 0
    """Number of boxes in them."""
    people: int = 0
    """Number of boxes that the node takes for people, by the defaults of its parameters."""
    oddities: tuple[Oddity, ...] = ()
    """Why the boxes are of no use."""


@dataclass(frozen=True)
class ClockReport:
    """The topic /clock."""

    publishers: tuple[Publisher, ...] = ()
    """Publishers of /clock."""
    messages: int = 0
    """Number of messages received while /clock was observed."""
    backwards: bool = False
    """Whether the time on /clock jumped back."""


@dataclass(frozen=True)
class QosConflict:
    """A publisher and a subscription of other nodes whose QoS policies are incompatible."""

    text: str
    """Sentence that names the publisher, the subscriber, the topic and the policies that differ."""
    advice: str
    """What to change so that messages arrive."""


@dataclass(frozen=True)
class TopicFailure:
    """A topic that could not be observed."""

    topic: str
    """Name."""
    reason: str


@dataclass(frozen=True)
class NetworkReport:
    """What was observed of the ROS 2 network: nodes, topics, clock and QoS conflicts."""

    nodes: tuple[str, ...] = ()
    """Full names of the other nodes."""
    topics: tuple[TopicReport, ...] = ()
    """Topics of images and of people."""
    detections: tuple[DetectionsReport, ...] = ()
    """Topics of detections."""
    failures: tuple[TopicFailure, ...] = ()
    """Topics that could not be observed, and are in none of the other fields."""
    camera_infos: tuple[str, ...] = ()
    """Topics on which a CameraInfo was received."""
    clock: ClockReport = field(default_factory=ClockReport)
    """What was observed of the topic /clock."""
    conflicts: tuple[QosConflict, ...] = ()
    """Pairs of other nodes' publishers and subscriptions with incompatible QoS."""
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
            detections=tuple(
                DetectionsReport(**{**one, **_oddities(one)}) for one in content["detections"]
            ),
            failures=tuple(TopicFailure(**failure) for failure in content["failures"]),
            camera_infos=tuple(content["camera_infos"]),
            clock=ClockReport(**{**content["clock"], **_publishers(content["clock"])}),
            conflicts=tuple(QosConflict(**conflict) for conflict in content["conflicts"]),
            loss_remedy=content["loss_remedy"],
        )


def _topic(content: Mapping[str, Any]) -> TopicReport:
    info = content["camera_info"]
    calibration = None if info is None else Calibration(**{**info, **_oddities(info)})
    changed = {**_publishers(content), **_oddities(content), "camera_info": calibration}
    return TopicReport(**{**content, **changed})


def _oddities(content: Mapping[str, Any]) -> dict[str, tuple[Oddity, ...]]:
    return {"oddities": tuple(Oddity(**one) for one in content["oddities"])}


def _publishers(content: Mapping[str, Any]) -> dict[str, tuple[Publisher, ...]]:
    return {"publishers": tuple(Publisher(**publisher) for publisher in content["publishers"])}
