# SPDX-License-Identifier: Apache-2.0
"""Images of a bag, matched with the messages that belong to them."""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pear_ros.bags.time_range import TimeRange
from pear_ros.bags.topic import Message

PATIENCE = 1_000_000_000
"""Nanoseconds by which what belongs to an image may be recorded after it, or before."""


@dataclass(frozen=True)
class Frame:
    """An image and what belongs to it."""

    number: int
    """Number of the image among those that are replayed, from 0 on."""
    image: Message
    """Message with the image."""
    stamp: int | None
    """Stamp in the image's header, nanoseconds; None where the message is too short for one."""
    companions: Mapping[str, Message]
    """Messages that belong to the image, by kind; kinds that the bag does not have are absent."""


def matched(
    messages: Iterable[Message],
    image: str,
    companions: Mapping[str, str],
    steady: Mapping[str, str],
    time_range: TimeRange,
    *,
    every: int = 1,
    tolerance: int = 0,
) -> Iterator[Message | Frame]:
    """Every message and, as soon as all that belongs to it has been read, every frame, in order.

    `image`: the topic of images, of which every `every`-th is taken, beginning with the first.
    `time_range`: when those have been recorded; `messages` may begin before and end after it, so
    that what belongs to the first and the last is among them, but only those of the range are
    given.
    `companions`: topics, by kind, of messages that belong to one image: the one with the same stamp
    or, PATIENCE later, with the nearest that is no further off than `tolerance` nanoseconds.
    `steady`: topics of what holds until the next message, and before the first one, too, unless
    that is longer than PATIENCE. Where there is nothing to wait for, a frame follows its image.
    """
    matcher = _Matcher(companions, steady, tolerance)
    images = 0
    for message in messages:
        inside = message.time in time_range
        if inside:
            yield message
        if message.topic != image:
            matcher.add(message)
        elif inside:
            if images % every == 0:
                matcher.add_image(message)
            images += 1
        yield from matcher.ready(message.time)
    yield from matcher.ready(None)


@dataclass(frozen=True)
class _Stamped:
    stamp: int | None
    message: Message


class _Matcher:
    def __init__(
        self, companions: Mapping[str, str], steady: Mapping[str, str], tolerance: int
    ) -> None:
        self._kinds = {topic: kind for kind, topic in companions.items()}
        self._steady = {topic: kind for kind, topic in steady.items()}
        self._tolerance = tolerance
        self._near: dict[str, deque[_Stamped]] = {kind: deque() for kind in companions}
        self._holding: dict[str, Message] = {}
        self._images: deque[_Stamped] = deque()
        self._count = 0

    def add_image(self, message: Message) -> None:
        self._images.append(_Stamped(stamp_of(message.data), message))

    def add(self, message: Message) -> None:
        if kind := self._kinds.get(message.topic):
            self._near[kind].append(_Stamped(stamp_of(message.data), message))
        if kind := self._steady.get(message.topic):
            self._holding[kind] = message

    def ready(self, now: int | None) -> Iterator[Frame]:
        """Frames that need not wait any longer; `now`: None at the end."""
        while self._images:
            image = self._images[0]
            over = now is None or now - image.message.time > PATIENCE
            if not over and not self._is_complete(image):
                return
            self._images.popleft()
            yield Frame(self._count, image.message, image.stamp, self._companions(image))
            self._count += 1
        if now is not None:
            for near in self._near.values():
                while near and now - near[0].message.time > 2 * PATIENCE:
                    near.popleft()

    def _is_complete(self, image: _Stamped) -> bool:
        exact = all(
            any(one.stamp == image.stamp for one in _beside(image, near))
            for near in self._near.values()
        )
        return exact and len(self._holding) == len(self._steady)

    def _companions(self, image: _Stamped) -> dict[str, Message]:
        found = dict(self._holding)
        if image.stamp is None:
            return found
        time = image.message.time
        for kind, near in self._near.items():
            # Of equal stamps, as of a clock that stands still, the one recorded next to the image.
            apart = [
                (abs(one.stamp - image.stamp), abs(one.message.time - time), one.message)
                for one in _beside(image, near)
                if one.stamp is not None
            ]
            nearest = min(apart, default=(math.inf, 0, None), key=lambda one: one[:2])
            difference, _, message = nearest
            if message is not None and difference <= self._tolerance:
                found[kind] = message
        return found


def _beside(image: _Stamped, near: Iterable[_Stamped]) -> Iterator[_Stamped]:
    """Those recorded at about the same time: a clock that was set back gives stamps twice."""
    time = image.message.time
    return (one for one in near if abs(one.message.time - time) <= PATIENCE)


def stamp_of(data: bytes) -> int | None:
    """Nanoseconds of the std_msgs/Header that a serialised message begins with; None: too short."""
    order = "<" if data[1:2] == b"\x01" else ">"
    try:
        seconds, nanoseconds = struct.unpack_from(f"{order}iI", data, 4)
    except struct.error:
        return None
    return int(seconds) * 1_000_000_000 + int(nanoseconds)
