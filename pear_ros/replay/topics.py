# SPDX-License-Identifier: Apache-2.0
"""Which topics of a bag to replay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pear_ros.bags.bag import Bag
from pear_ros.bags.topic import BagError
from pear_ros.ros.conversion.images import ENCODINGS

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
DETECTIONS = "vision_msgs/msg/Detection2DArray"

_COMPRESSED = "/compressed"
_MOST_LOOKED_AT = 1000
"""Messages in which the first image of each topic is looked for."""


@dataclass(frozen=True)
class Wanted:
    """Names of topics as somebody gave them; empty: find it, or for depth and detections: none."""

    image: str = ""
    camera_info: str = ""
    depth: str = ""
    detections: str = ""


def choose_topics(bag: Bag, wanted: Wanted) -> Wanted:
    """The topics to read, all of them in the bag; empty: there is none.

    The image topic may be given without /compressed. It is found where one topic alone has
    pictures, an image and its compressed form counted once, the image taken. Its CameraInfo is
    looked for in its namespace, as image_transport has it.

    Raises BagError, with the topics that there are, where one is missing or of another type, or
    several have pictures.
    """
    image = _named_image(bag, wanted.image) if wanted.image else _only_image(bag, wanted.depth)
    beside = f"{image.removesuffix(_COMPRESSED).rpartition('/')[0]}/camera_info"
    if wanted.camera_info:
        camera_info = _named(bag, wanted.camera_info, [CAMERA_INFO])
    else:
        camera_info = beside if beside in _of_types(bag, [CAMERA_INFO]) else ""
    depth = _named(bag, wanted.depth, [IMAGE]) if wanted.depth else ""
    detections = _named(bag, wanted.detections, [DETECTIONS]) if wanted.detections else ""
    return Wanted(image, camera_info, depth, detections)


def _named_image(bag: Bag, name: str) -> str:
    compressed = name + _COMPRESSED
    if compressed in bag.topics and (name not in bag.topics or not bag.topics[name].count):
        name = compressed
    return _named(bag, name, [IMAGE, COMPRESSED_IMAGE])


def _named(bag: Bag, name: str, types: Sequence[str]) -> str:
    topic = bag.topics.get(name)
    if topic is None:
        raise BagError(f"{bag.path} has no topic {name}; of its type there are {_list(bag, types)}")
    if topic.type not in types:
        raise BagError(
            f"{bag.path}: {name} is of type {topic.type}, not {' or '.join(types)}; of these there "
            f"are {_list(bag, types)}"
        )
    return name


def _only_image(bag: Bag, depth: str) -> str:
    names = _of_types(bag, [IMAGE, COMPRESSED_IMAGE])
    found = [name for name in names if name != depth and not name.endswith("/compressedDepth")]
    # Without messages are those which a recorder subscribed to and nobody published on.
    found = [name for name in found if bag.topics[name].count] or found
    found = [
        name
        for name in found
        if name.removesuffix(_COMPRESSED) not in found or not name.endswith(_COMPRESSED)
    ]
    if len(found) > 1:
        found = _with_pictures(bag, found)
    if not found:
        raise BagError(
            f"{bag.path} has no image topic; there are "
            + (", ".join(sorted(bag.topics)) or "no topics at all")
        )
    if len(found) > 1:
        raise BagError(
            f"{bag.path} has several image topics; choose one with --image: "
            + ", ".join(f"{name} ({bag.topics[name].count})" for name in found)
        )
    return found[0]


def _with_pictures(bag: Bag, names: Sequence[str]) -> list[str]:
    """Without those of which the first image has an encoding that is not one of pictures."""
    unseen = set(names)
    others = set()
    for count, message in enumerate(bag.messages(names)):
        if not unseen or count == _MOST_LOOKED_AT:
            break
        if message.topic in unseen:
            unseen.discard(message.topic)
            try:
                encoding = _encoding(bag.deserialize(message))
            except Exception:  # What a corrupt message raises depends on the damage.
                continue
            if encoding not in ENCODINGS:
                others.add(message.topic)
    return [name for name in names if name not in others]


def _encoding(image: Any) -> str:
    """Of a compressed one, that before it was compressed; bgr8 where it does not say."""
    if image.__msgtype__ == IMAGE:
        return str(image.encoding)
    before, told, _ = image.format.partition(";")
    return before.strip() if told else "bgr8"


def _of_types(bag: Bag, types: Sequence[str]) -> list[str]:
    return sorted(topic.name for topic in bag.topics.values() if topic.type in types)


def _list(bag: Bag, types: Sequence[str]) -> str:
    return ", ".join(_of_types(bag, types)) or "none"
