# SPDX-License-Identifier: Apache-2.0
"""What a bag consists of: topics and their messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat, Qos

NO_DEFINITION = MessageDefinition(MessageDefinitionFormat.NONE, "")


class BagError(ValueError):
    """A bag that cannot be used; the text says which and why."""


class DamagedError(Exception):
    """A storage file has been read as far as it can be; the text says what is wrong with it."""


class Message(NamedTuple):
    """A message as it is in a bag."""

    topic: str
    time: int
    """When it was recorded, nanoseconds."""
    data: bytes
    """As it came over the wire, not compressed (CDR)."""


@dataclass(frozen=True)
class Topic:
    """A topic of a bag."""

    name: str
    type: str
    """As in sensor_msgs/msg/Image."""
    definition: MessageDefinition = NO_DEFINITION
    """Without text where the bag brings none, as those of Humble in sqlite3 do."""
    qos: tuple[Qos, ...] = ()
    """As offered by its publishers."""
    count: int = 0
    """Messages, as far as they can be read."""
