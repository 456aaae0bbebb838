# SPDX-License-Identifier: Apache-2.0
"""Approximate time synchronisation: the newest image with the messages of about its stamp."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pear_ros.ros.node.image_statistics import StatisticsCollector

_QUEUE_SIZE = 16
"""Messages of one kind that are kept; a fast camera sends fewer images within the timeout."""
_MAX_BYTES = 128_000_000
"""Bytes of all images that are kept, beside the newest, and of all companions of one kind."""


@dataclass(frozen=True)
class SynchronizedImage:
    """An image message with the companion messages that belong to it."""

    image: Any
    arrival: float
    """Time at which the image arrived, seconds of time.perf_counter."""
    companions: Mapping[str, Any]
    """Messages by kind, without those that did not arrive in time."""


class _Message(NamedTuple):
    stamp: int
    content: Any
    arrival: float


class ImageSynchronizer:
    """Return the newest complete image, so that a slow reader never gets an old one.

    An image is complete once a companion message of each kind has arrived whose stamp differs from
    the image's by at most the tolerance. After the timeout an image is returned incomplete, unless
    a newer one is complete. Methods may be called from several threads. Stamps are nanoseconds.
    """

    def __init__(
        self,
        statistics: StatisticsCollector,
        kinds: Sequence[str] = (),
        tolerance: float = 0.0,
        timeout: float = 0.0,
    ) -> None:
        """Take the `kinds` of companions that an image needs; count losses in `statistics`.

        `tolerance`: greatest difference of stamps, seconds; `timeout`: greatest time that an image
        waits, seconds. Both may be changed at any time.
        """
        self.tolerance = tolerance
        self.timeout = timeout
        self._statistics = statistics
        self._changed = threading.Condition()
        self._images: deque[_Message] = deque()
        self._companions: dict[str, deque[_Message]] = {
            kind: deque(maxlen=_QUEUE_SIZE) for kind in kinds
        }
        self._last_stamp: int | None = None
        self._last_missing: frozenset[str] = frozenset()
        self._closed = False

    def add_image(self, content: Any, stamp: int) -> None:
        """Queue an image; earlier ones are dropped unless it has to wait itself."""
        with self._changed:
            newest = self._images[-1].stamp if self._images else self._last_stamp
            if newest is not None and stamp < newest:
                self._drop_after(stamp)
            self._images.append(_Message(stamp, content, time.perf_counter()))
            self._drop_before(max(_too_many(self._images), self._newest_complete() or 0))
            self._changed.notify()

    def add(self, kind: str, content: Any, stamp: int) -> None:
        """Queue a companion message; it may arrive before its image or after it."""
        with self._changed:
            tolerance = self.tolerance * 1e9
            passed = self._last_stamp is not None and stamp <= self._last_stamp + tolerance
            # Where stamps stand still, it is of an image that waits.
            waited_for = any(abs(image.stamp - stamp) <= tolerance for image in self._images)
            if passed and not waited_for and kind in self._last_missing:
                self._statistics.count(f"late_{kind}")
                return
            companions = self._companions[kind]
            companions.append(_Message(stamp, content, time.perf_counter()))
            for _ in range(_too_many(companions)):
                companions.popleft()
            self._drop_before(self._newest_complete() or 0)
            self._changed.notify()

    def take(self) -> SynchronizedImage | None:
        """Wait for an image and return it; return None once closed."""
        with self._changed:
            while not self._closed:
                now = time.perf_counter()
                if (index := self._ready(now)) is not None:
                    return self._pop(index)
                oldest = self._images[0].arrival if self._images else None
                self._changed.wait(None if oldest is None else oldest + self.timeout - now)
            return None

    def close(self) -> None:
        """End every wait, now and later; queued messages are lost."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _ready(self, now: float) -> int | None:
        """Index of the image to return: the newest complete one, else the newest that timed out."""
        complete = self._newest_complete()
        if complete is not None:
            return complete
        timed_out = [
            n for n, image in enumerate(self._images) if now - image.arrival >= self.timeout
        ]
        return timed_out[-1] if timed_out else None

    def _newest_complete(self) -> int | None:
        for index in reversed(range(len(self._images))):
            if len(self._match(self._images[index])) == len(self._companions):
                return index
        return None

    def _match(self, image: _Message) -> dict[str, Any]:
        """Companions of an image by kind: each the nearest in time within the tolerance."""
        found = {}
        for kind, messages in self._companions.items():
            nearest = min(messages, key=lambda m: abs(m.stamp - image.stamp), default=None)
            if nearest and abs(nearest.stamp - image.stamp) <= self.tolerance * 1e9:
                found[kind] = nearest.content
        return found

    def _pop(self, index: int) -> SynchronizedImage:
        self._drop_before(index)
        image = self._images.popleft()
        companions = self._match(image)
        self._last_stamp = image.stamp
        self._last_missing = frozenset(self._companions).difference(companions)
        for kind, messages in self._companions.items():
            newer = (message for message in messages if message.stamp > image.stamp)
            self._companions[kind] = deque(newer, maxlen=_QUEUE_SIZE)
        return SynchronizedImage(image.content, image.arrival, companions)

    def _drop_before(self, index: int) -> None:
        for _ in range(index):
            self._images.popleft()
            self._statistics.count("dropped")

    def _drop_after(self, stamp: int) -> None:
        """Drop what is later than an image: the clock has jumped back, as when a bag loops."""
        self._drop_before(len(self._images))
        self._last_stamp = None
        for kind, messages in self._companions.items():
            older = (m for m in messages if m.stamp <= stamp + self.tolerance * 1e9)
            self._companions[kind] = deque(older, maxlen=_QUEUE_SIZE)


def _too_many(messages: Sequence[_Message]) -> int:
    """Number of the oldest messages that are to be dropped; the newest is always kept."""
    room = _MAX_BYTES
    for kept, message in enumerate(reversed(messages)):
        room -= len(getattr(message.content, "data", ()))
        if kept and (room < 0 or kept >= _QUEUE_SIZE):
            return len(messages) - kept
    return 0
