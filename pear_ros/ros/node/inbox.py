# SPDX-License-Identifier: Apache-2.0
"""Where messages wait for the worker: the newest image, with what belongs to it by its stamp."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pear_ros.ros.node.metrics import Recorder

_MOST_WAITING = 16
"""Messages of a kind; images of a fast camera that wait for the timeout are fewer."""


@dataclass(frozen=True)
class Item:
    """An image and what came with it."""

    image: Any
    arrived: float
    """Of the image, seconds of time.perf_counter."""
    companions: Mapping[str, Any]
    """By kind; without those that did not come in time."""


class _Message(NamedTuple):
    stamp: int
    content: Any
    arrived: float


class Inbox:
    """Hands out the newest image that is complete: a slow reader never works on old images.

    An image is complete once a companion of each kind is there whose stamp is the image's or nearly
    so. One that waits in vain is handed out without, unless a newer one is complete. For use
    by several threads. Stamps are nanoseconds.
    """

    def __init__(
        self,
        recorder: Recorder,
        kinds: Sequence[str] = (),
        tolerance: float = 0.0,
        timeout: float = 0.0,
    ) -> None:
        """`kinds` of companions that an image needs; `recorder` counts what is dropped or late.

        `tolerance`: seconds by which stamps may differ; `timeout`: for which an image waits. Both
        may be set anew at any time.
        """
        self.tolerance = tolerance
        self.timeout = timeout
        self._recorder = recorder
        self._changed = threading.Condition()
        self._images: deque[_Message] = deque()
        self._companions: dict[str, deque[_Message]] = {
            kind: deque(maxlen=_MOST_WAITING) for kind in kinds
        }
        self._taken: int | None = None
        self._lacked: frozenset[str] = frozenset()
        self._closed = False

    def put_image(self, content: Any, stamp: int) -> None:
        """Leaves an image, which displaces those that waited unless it has to wait itself."""
        with self._changed:
            newest = self._images[-1].stamp if self._images else self._taken
            if newest is not None and stamp < newest:
                self._forget_after(stamp)
            self._images.append(_Message(stamp, content, time.perf_counter()))
            self._drop_before(max(len(self._images) - _MOST_WAITING, self._newest_complete() or 0))
            self._changed.notify()

    def put(self, kind: str, content: Any, stamp: int) -> None:
        """Leaves a companion of the image of the same stamp, whichever of the two comes first."""
        with self._changed:
            passed = self._taken is not None and stamp <= self._taken + self.tolerance * 1e9
            if passed and kind in self._lacked:
                self._recorder.count(f"late_{kind}")
                return
            self._companions[kind].append(_Message(stamp, content, time.perf_counter()))
            self._drop_before(self._newest_complete() or 0)
            self._changed.notify()

    def take(self) -> Item | None:
        """Waits for an image and takes it; None once the inbox is closed."""
        with self._changed:
            while not self._closed:
                now = time.perf_counter()
                if (index := self._ready(now)) is not None:
                    return self._hand_out(index)
                oldest = self._images[0].arrived if self._images else None
                self._changed.wait(None if oldest is None else oldest + self.timeout - now)
            return None

    def close(self) -> None:
        """Ends every wait, now and later; what nobody took is lost."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _ready(self, now: float) -> int | None:
        """Which image to hand out: the newest that is complete, else the newest out of time."""
        complete = self._newest_complete()
        if complete is not None:
            return complete
        waited = [n for n, image in enumerate(self._images) if now - image.arrived >= self.timeout]
        return waited[-1] if waited else None

    def _newest_complete(self) -> int | None:
        for index in reversed(range(len(self._images))):
            if len(self._of(self._images[index])) == len(self._companions):
                return index
        return None

    def _of(self, image: _Message) -> dict[str, Any]:
        """Companions of an image: of each kind the one nearest in time, within the tolerance."""
        found = {}
        for kind, messages in self._companions.items():
            nearest = min(messages, key=lambda m: abs(m.stamp - image.stamp), default=None)
            if nearest and abs(nearest.stamp - image.stamp) <= self.tolerance * 1e9:
                found[kind] = nearest.content
        return found

    def _hand_out(self, index: int) -> Item:
        self._drop_before(index)
        image = self._images.popleft()
        companions = self._of(image)
        self._taken = image.stamp
        self._lacked = frozenset(self._companions).difference(companions)
        for kind, messages in self._companions.items():
            newer = (message for message in messages if message.stamp > image.stamp)
            self._companions[kind] = deque(newer, maxlen=_MOST_WAITING)
        return Item(image.content, image.arrived, companions)

    def _drop_before(self, index: int) -> None:
        for _ in range(index):
            self._images.popleft()
            self._recorder.count("dropped")

    def _forget_after(self, stamp: int) -> None:
        """The clock went back, as it does when a bag is played again."""
        self._drop_before(len(self._images))
        self._taken = None
        for kind, messages in self._companions.items():
            older = (m for m in messages if m.stamp <= stamp + self.tolerance * 1e9)
            self._companions[kind] = deque(older, maxlen=_MOST_WAITING)
