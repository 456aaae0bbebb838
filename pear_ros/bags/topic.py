# SPDX-License-Identifier: Apache-2.0
"""Topics and messages of a bag, and the errors of reading it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat, Qos

NO_DEFINITION = MessageDefinition(MessageDefinitionFormat.NONE, "")
MAX_NAME = 256
"""Characters of the longest name of a topic or a type; DDS allows no longer ones."""
_LISTED = 20


class BagError(ValueError):
    """A bag that cannot be used; the text names it and the reason."""


class DamagedError(Exception):
    """The end of the readable content of a damaged storage file; the text describes the damage."""


class Message(NamedTuple):
    """A serialised message of a bag."""

    topic: str
    time: int
    """Recording time, nanoseconds."""
    data: bytes
    """CDR, as the middleware carries it, not compressed."""


@dataclass(frozen=True)
class Topic:
    """A topic of a bag."""

    name: str
    type: str
    """Message type, as in sensor_msgs/msg/Image."""
    definition: MessageDefinition = NO_DEFINITION
    """Message definition; without text where the bag has none, as sqlite3 bags of Humble."""
    qos: tuple[Qos, ...] = ()
    """QoS profiles that its publishers offered."""
    count: int = 0
    """Number of readable messages."""

    @property
    def key(self) -> tuple[str, str]:
        """Name and type: a name may occur with several types."""
        return self.name, self.type


def listed(names: Collection[str], nothing: str = "none") -> str:
    """Return sorted names for a sentence, the first 20 of many."""
    shown = sorted(names)
    more = f" and {len(shown) - _LISTED} more" if len(shown) > _LISTED else ""
    return ", ".join(shown[:_LISTED]) + more or nothing
