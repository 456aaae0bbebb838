# SPDX-License-Identifier: Apache-2.0
"""The transforms of a bag, as they were known around each image."""

from __future__ import annotations

from collections.abc import Iterator

from pear_ros.bags.bag import Bag
from pear_ros.bags.matching import PATIENCE
from pear_ros.bags.time_range import TimeRange
from pear_ros.bags.topic import Message
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.ros.topics import TF, TF_STATIC, TF_TYPE
from pear_ros.ros.transform_buffer import KEPT_SECONDS, TransformBuffer


class BagTransforms:
    """Look up transforms of a bag in the order of its images; what it returns is reproducible.

    It knows what was recorded until a second after the image, so that nothing is late.
    """

    def __init__(self, bag: Bag, time_range: TimeRange) -> None:
        """Read /tf and /tf_static of `bag`, the former from shortly before `time_range` on."""
        self._bag = bag
        self._buffer = TransformBuffer()
        self._messages = self._read(time_range.first - round(KEPT_SECONDS * 1e9))
        self._next: Message | None = None

    def advance(self, time: int) -> None:
        """Read what was recorded until a second after an image, recorded at `time`, nanoseconds."""
        while True:
            message = self._next or next(self._messages, None)
            self._next = message
            if message is None or message.time > time + PATIENCE:
                return
            self._next = None
            self._add(message)

    def lookup(
        self, target: str, source: str, nanoseconds: int, timeout: float = 0.0
    ) -> RigidTransform:
        """Return the transform from `source` to `target` at a time: see TransformBuffer.lookup."""
        return self._buffer.lookup(target, source, nanoseconds)

    def _read(self, begin: int) -> Iterator[Message]:
        """Messages of both topics: all of /tf_static, which hold from the beginning on."""
        names = {
            topic.name
            for topic in self._bag.topics.values()
            if topic.name in (TF, TF_STATIC) and topic.type == TF_TYPE
        }
        if TF_STATIC in names:
            for message in self._bag.messages([TF_STATIC]):
                yield message._replace(time=begin)
        if TF in names:
            yield from self._bag.messages([TF], begin)

    def _add(self, message: Message) -> None:
        try:
            transforms = self._bag.deserialize(message)
        except Exception:  # A corrupt message may raise anything; a look-up says what is missing.
            return
        self._buffer.add(transforms, static=message.topic == TF_STATIC)
