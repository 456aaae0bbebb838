# SPDX-License-Identifier: Apache-2.0
"""Topics and messages of a bag, and the errors of reading it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat, Qos

NO_DEFINITION = MessageDefinition(MessageDefinitionFormat.NONE, "")


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
