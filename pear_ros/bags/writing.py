# SPDX-License-Identifier: Apache-2.0
"""Bags that `rosbags` writes: format and topics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys.store import Typestore

QUEUE = 50
"""Messages."""
_VERSION: Literal[8] = 8
"""Of metadata.yaml. Humble's rosbag2 (version 5) reads it and skips the fields it does not know; it
cannot read version 9, where QoS is no longer a string."""
_FOREVER = QosTime(2147483647, 4294967295)


def open_writer(folder: Path, storage: str) -> Writer:
    """A bag in the new `folder`, open for writing; `storage`: one of pear_ros.core.choice.STORAGES.

    MCAP is written in chunks compressed by Zstandard, sqlite3 as it is: Humble reads it without
    further plug-ins.
    """
    writer = Writer(folder, version=_VERSION, storage_plugin=StoragePlugin[storage.upper()])
    if storage == "mcap":
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    writer.open()
    return writer


def offered(latched: bool) -> Qos:
    """Reliable, and transient local where a topic is latched, so that a player latches it again."""
    return Qos(
        QosHistory.KEEP_LAST,
        1 if latched else QUEUE,
        QosReliability.RELIABLE,
        QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
        _FOREVER,
        _FOREVER,
        QosLiveliness.AUTOMATIC,
        _FOREVER,
        False,
    )


def is_latched(qos: Sequence[Qos]) -> bool:
    """Whether who comes late still gets the last message of a topic that is offered so."""
    return any(one.durability is QosDurability.TRANSIENT_LOCAL for one in qos)


def type_name(message_type: type[Any]) -> str:
    """As in sensor_msgs/msg/Image, of a message class of ROS 2."""
    return f"{message_type.__module__.split('.')[0]}/msg/{message_type.__name__}"


def add_topic(
    writer: Writer, name: str, kind: str, types: Typestore, qos: Sequence[Qos]
) -> Connection:
    """A topic of the type `kind`, with its definition from `types`, in a bag that is open."""
    return writer.add_connection(name, kind, typestore=types, offered_qos_profiles=qos)
