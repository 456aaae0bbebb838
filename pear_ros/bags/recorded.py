# SPDX-License-Identifier: Apache-2.0
"""Definitions, QoS profiles and counts of recorded topics, as both kinds of storage keep them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat, Qos
from rosbags.rosbag2.metadata import parse_qos

from pear_ros.bags.topic import MAX_NAME, NO_DEFINITION, Topic

_FORMATS = {
    "ros2msg": MessageDefinitionFormat.MSG,
    "ros2idl": MessageDefinitionFormat.IDL,
    "omgidl": MessageDefinitionFormat.IDL,
}
_MAX_QOS = 1 << 18
"""Characters of QoS profiles, all different ones of a file together, that are parsed."""
LATEST = 2**63 - 1
"""Latest recording time, nanoseconds; rosbag2 counts with 63 bits."""


class RecordedTopics:
    """The topics of a storage file, with counts and times, and what was left out."""

    def __init__(self, path: Path) -> None:
        """`path`: of the storage file, for texts."""
        self._path = path
        self._qos: dict[str, tuple[Qos, ...]] = {}
        self._left_out: Counter[str] = Counter()
        self.topics: dict[tuple[str, str], Topic] = {}
        """Topics by name and type."""
        self.start: int | None = None
        self.end: int | None = None

    def topic(self, name: Any, kind: Any, encoding: Any, text: Any, qos: Any) -> Topic | None:
        """Return the topic that a storage file describes with these values.

        `encoding`, `text`: of the message definition. None, and counted, where name or type cannot
        be that of a topic.
        """
        for value in (name, kind):
            if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
                self.leave_out("topics whose name or type is no text, or too long")
                return None
        known = encoding in _FORMATS and isinstance(text, str)
        definition = MessageDefinition(_FORMATS[encoding], text) if known else NO_DEFINITION
        return Topic(name, kind, definition, self._parsed(qos))

    def add(self, topic: Topic, count: int = 0) -> None:
        """Add a topic, or `count` messages to it."""
        known = self.topics.get(topic.key, replace(topic, count=0))
        self.topics[topic.key] = replace(known, count=known.count + count)

    def extend(self, first: int, last: int) -> None:
        """Include these recording times, nanoseconds, between `start` and `end`."""
        self.start = first if self.start is None else min(self.start, first)
        self.end = last if self.end is None else max(self.end, last)

    def leave_out(self, what: str, count: int = 1) -> None:
        """Count what is not read; `what`: in the plural, the same for all alike."""
        self._left_out[what] += count

    def faults(self) -> list[str]:
        """Return a sentence about each kind of content that was left out so far."""
        return [
            f"{self._path}: left out {'is' if count == 1 else 'are'} {count} of the {what}"
            for what, count in sorted(self._left_out.items())
        ]

    def _parsed(self, text: Any) -> tuple[Qos, ...]:
        """Return the QoS profiles in a text; none where it is damaged or there is too much."""
        if not isinstance(text, str) or not text:
            return ()
        if text not in self._qos:
            if sum(map(len, self._qos)) + len(text) > _MAX_QOS:
                return ()
            try:
                self._qos[text] = tuple(parse_qos(text))
            except Exception:  # What damaged text raises depends on the damage.
                self._qos[text] = ()
        return self._qos[text]
