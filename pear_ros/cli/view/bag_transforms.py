# SPDX-License-Identifier: Apache-2.0
"""The transforms of a bag around any time, for a viewer that jumps to and fro."""

from __future__ import annotations

from pear_ros.bags.bag import Bag
from pear_ros.ros.topics import TF, TF_STATIC, TF_TYPE
from pear_ros.ros.transform_buffer import TransformBuffer

_BEFORE, _AFTER = 1_500_000_000, 5_000_000_000
"""Nanoseconds before and after a time of which transforms are read at once."""
_PATIENCE = 1_000_000_000
"""Nanoseconds of recording time by which a transform may be later than what needs it."""


class BagTransforms:
    """Buffers with all that was said on /tf_static, and on /tf around a time."""

    def __init__(self, bag: Bag) -> None:
        """Read /tf_static of `bag`."""
        self._bag = bag
        topics = [bag.topics.get(name) for name in (TF, TF_STATIC)]
        self._moving, self._static = (topic and topic.type == TF_TYPE for topic in topics)
        self._window = (0, -1)
        self._buffer = TransformBuffer()
        if self._static:
            self._add(TF_STATIC)

    def around(self, recorded: int) -> TransformBuffer:
        """Return the transforms around a recording time, nanoseconds."""
        first, last = self._window
        if self._moving and not first <= recorded <= last - _PATIENCE:
            first, last = recorded - _BEFORE, recorded + _AFTER
            self._buffer.forget()
            self._add(TF, max(first, 0), last)
            self._window = recorded, last
        return self._buffer

    def _add(self, topic: str, first: int = 0, last: int | None = None) -> None:
        for message in self._bag.messages([topic], first, last):
            try:
                transforms = self._bag.deserialize(message)
            except Exception:  # A corrupt message may raise anything; a look-up says what lacks.
                continue
            self._buffer.add(transforms, static=topic == TF_STATIC)
