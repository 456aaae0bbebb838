# SPDX-License-Identifier: Apache-2.0
"""The images of a bag, found by their stamp; only those near the right time are read."""

from __future__ import annotations

import struct
from collections import OrderedDict

from pear_ros.bags.bag import Bag
from pear_ros.bags.topic import Topic, listed
from pear_ros.core.people import Image
from pear_ros.export.tracks import ResultsError
from pear_ros.ros.conversion.images import ImageError, bgr_from_compressed, bgr_from_image
from pear_ros.ros.topics import COMPRESSED_DEPTH, COMPRESSED_IMAGE_TYPE, IMAGE_TYPE

_STAMP = struct.Struct("<4xiI")
"""Beginning of every message with a header, in CDR: encapsulation, seconds, nanoseconds."""
_BIG_ENDIAN_STAMP = struct.Struct(">4xiI")
_NEAR = 20_000_000
"""Nanoseconds around the expected recording time in which an image is searched first."""
_WINDOWS = (300_000_000, 2_000_000_000)
"""Nanoseconds after the stamp, and before the recording time of results, of the next searches.

Results that were made from a bag later have another recording time than their images."""
_KEPT = 4
_NOT_THE_CAMERA = ("depth", "overlay", "mask", "segmentation", "debug", "disparity")


class BagPictures:
    """Pictures by stamp."""

    def __init__(self, bag: Bag, topic: str | None = None) -> None:
        """`topic`: of images; None: found. Raises ResultsError where there is no such topic."""
        self._bag = bag
        self._topic = _image_topic(bag, topic)
        self._delay = 0
        """Recording time minus stamp of the last image, nanoseconds."""
        self._kept: OrderedDict[int, Image | None] = OrderedDict()

    def at_stamp(self, stamp: int, recorded: int) -> Image | None:
        """Return the image of a stamp; None without one.

        `recorded`: recording time of its results in this bag, nanoseconds.
        """
        if self._topic is None:
            return None
        if stamp not in self._kept:
            self._kept[stamp] = self._found(self._topic, stamp, recorded)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return self._kept[stamp]

    def _found(self, topic: Topic, stamp: int, recorded: int) -> Image | None:
        expected = stamp + self._delay
        searched = [(expected - _NEAR, expected + _NEAR)]
        for window in _WINDOWS:
            searched += [(stamp, stamp + window), (recorded - window, recorded)]
        for first, last in searched:
            for message in self._bag.messages([topic.name], max(first, 0), last):
                if _stamp(message.data) == stamp:
                    self._delay = message.time - stamp
                    return self._decoded(topic, message)
        return None

    def _decoded(self, topic: Topic, message: object) -> Image | None:
        try:
            picture = self._bag.deserialize(message)  # type: ignore[arg-type]
            read = bgr_from_compressed if topic.type == COMPRESSED_IMAGE_TYPE else bgr_from_image
            return read(picture)
        except (ImageError, ValueError, KeyError, IndexError):
            return None


def _image_topic(bag: Bag, name: str | None) -> Topic | None:
    kinds = (IMAGE_TYPE, COMPRESSED_IMAGE_TYPE)
    topics = {topic.name: topic for topic in bag.topics.values() if topic.type in kinds}
    if name is not None:
        if name not in topics:
            raise ResultsError(f"{bag.path} has no images on {name}; it has: {listed(topics)}")
        return topics[name]
    cameras = [
        topic
        for topic in topics.values()
        if not topic.name.endswith(COMPRESSED_DEPTH)
        and not any(word in topic.name for word in _NOT_THE_CAMERA)
    ]
    return max(cameras, key=lambda topic: topic.count, default=None)


def _stamp(data: bytes) -> int | None:
    """Return the stamp of a serialised message with a header, nanoseconds."""
    if len(data) < _STAMP.size:
        return None
    little = data[1] & 1
    seconds, nanoseconds = (_STAMP if little else _BIG_ENDIAN_STAMP).unpack_from(data)
    return int(seconds) * 10**9 + int(nanoseconds)
