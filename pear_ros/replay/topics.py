# SPDX-License-Identifier: Apache-2.0
"""Selection of the topics of a bag that are replayed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pear_ros.bags.bag import Bag
from pear_ros.bags.topic import BagError, listed
from pear_ros.core.quoting import quoted
from pear_ros.ros.conversion.encodings import encoding_name
from pear_ros.ros.topics import (
    CAMERA_INFO_TYPE,
    COMPRESSED,
    COMPRESSED_DEPTH,
    COMPRESSED_IMAGE_TYPE,
    DETECTIONS_TYPE,
    HUMANS_TYPE,
    IMAGE_TYPE,
    camera_info_topic,
)

_MAX_SEARCHED = 1000
"""Messages that are searched for the first image of each topic."""


@dataclass(frozen=True)
class TopicSelection:
    """Names of the topics by kind; empty: find it, or none for depth and detections."""

    image: str = ""
    camera_info: str = ""
    depth: str = ""
    detections: str = ""


def select_topics(bag: Bag, given: TopicSelection) -> TopicSelection:
    """Return the topics to read, all of them in the bag; an empty name is none.

    The image topic may be given without /compressed. It is found if exactly one topic has pictures;
    a raw topic and its compressed form count as one, of which the raw one is taken. Its CameraInfo
    is searched in its namespace, as image_transport does.

    Raises BagError, which lists the topics in the bag, if a topic is missing or of another type, or
    if several have pictures.
    """
    image = _named_image(bag, given.image) if given.image else _only_image(bag, given.depth)
    if given.camera_info:
        camera_info = _named(bag, given.camera_info, [CAMERA_INFO_TYPE])
    else:
        beside = camera_info_topic(image)
        camera_info = beside if beside in _of_types(bag, [CAMERA_INFO_TYPE]) else ""
    depth = _named_image(bag, given.depth, (COMPRESSED_DEPTH, COMPRESSED)) if given.depth else ""
    detections = _named(bag, given.detections, [DETECTIONS_TYPE]) if given.detections else ""
    return TopicSelection(image, camera_info, depth, detections)


def _named_image(bag: Bag, name: str, packed: Sequence[str] = (COMPRESSED,)) -> str:
    """Topic of images with this name, or with one of the suffixes `packed` if it has none."""
    for compressed in (name + suffix for suffix in packed):
        if compressed in bag.topics and (name not in bag.topics or not bag.topics[name].count):
            name = compressed
    return _named(bag, name, [IMAGE_TYPE, COMPRESSED_IMAGE_TYPE])


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
    names = _of_types(bag, [IMAGE_TYPE, COMPRESSED_IMAGE_TYPE])
    found = [name for name in names if name != depth and not name.endswith(COMPRESSED_DEPTH)]
    found = [name for name in found if not _is_overlay(bag, name)] or found
    # A recorder also lists topics that it subscribed to and on which nothing was published.
    found = [name for name in found if bag.topics[name].count] or found
    found = [
        name
        for name in found
        if name.removesuffix(COMPRESSED) not in found or not name.endswith(COMPRESSED)
    ]
    others: dict[str, str] = {}
    if len(found) > 1 or depth:
        others = _without_pictures(bag, found)
        found = [name for name in found if name not in others]
    if not found:
        raise BagError(f"{bag.path} has no image topic; there are {_described(bag, others)}")
    if len(found) > 1:
        raise BagError(
            f"{bag.path} has several image topics; choose one with --image: "
            + listed([f"{name} ({bag.topics[name].count})" for name in found])
        )
    return found[0]


def _is_overlay(bag: Bag, name: str) -> bool:
    """Whether a topic is the overlay of a node whose people are in the bag, too."""
    namespace, _, last = name.removesuffix(COMPRESSED).rpartition("/")
    humans = bag.topics.get(f"{namespace}/humans")
    return last == "overlay" and humans is not None and humans.type == HUMANS_TYPE


def _without_pictures(bag: Bag, names: Sequence[str]) -> dict[str, str]:
    """Encodings of those topics whose first image has one that cannot be read, by name."""
    unseen = set(names)
    others = {}
    for count, message in enumerate(bag.messages(names)):
        if not unseen or count == _MAX_SEARCHED:
            break
        if message.topic in unseen:
            unseen.discard(message.topic)
            try:
                encoding = _encoding(bag.deserialize(message))
            except Exception:  # A corrupt message may raise anything.
                continue
            if not encoding_name(encoding):
                others[message.topic] = encoding
    return others


def _described(bag: Bag, encodings: Mapping[str, str]) -> str:
    """All topics of a bag, with the encodings that cannot be read."""
    names = [
        f"{name} in encoding {quoted(encodings[name])}" if name in encodings else name
        for name in sorted(bag.topics)
    ]
    return listed(names, "no topics at all")


def _encoding(image: Any) -> str:
    """Encoding of an image, of a compressed one that before compression; bgr8 by default."""
    if image.__msgtype__ == IMAGE_TYPE:
        return str(image.encoding)
    encoding, found, _ = image.format.partition(";")
    return encoding.strip() if found else "bgr8"


def _of_types(bag: Bag, types: Sequence[str]) -> list[str]:
    return sorted(topic.name for topic in bag.topics.values() if topic.type in types)


def _list(bag: Bag, types: Sequence[str]) -> str:
    return listed(_of_types(bag, types))
