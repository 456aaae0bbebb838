# SPDX-License-Identifier: Apache-2.0
"""Writing bags with `rosbags`: format, QoS profiles and topics."""

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

from pear_ros.bags.mcap_file import MAGIC
from pear_ros.bags.sqlite_file import written_by

_HEADER_BYTES = 64
QUEUE = 50
"""Queue depth of recorded topics, messages."""
_VERSION: Literal[8] = 8
"""Version of metadata.yaml. Humble's rosbag2 (version 5) reads it and skips unknown fields.
It cannot read version 9, where QoS is no longer a string."""
_FOREVER = QosTime(2147483647, 4294967295)


def open_writer(folder: Path, storage: str) -> Writer:
    """Open a bag for writing in the new `folder`.

    `storage`: one of pear_ros.core.configuration.STORAGES. MCAP is written in chunks compressed by
    Zstandard, sqlite3 without compression, since Humble reads that without further plug-ins.
    """
    writer = Writer(folder, version=_VERSION, storage_plugin=StoragePlugin[storage.upper()])
    if storage == "mcap":
        writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    writer.open()
    return writer


def is_own_storage(path: Path) -> bool:
    """Return whether a storage file was written by a Writer, or has just been begun."""
    try:
        if path.suffix == ".mcap":
            with path.open("rb") as file:
                start = file.read(_HEADER_BYTES)
            return not start or (
                start.startswith(MAGIC)
                and b"\x04\0\0\0ros2" in start[:25]
                and start[29:].startswith(b"rosbags-")
            )
        return written_by(path) == "rosbags"
    except OSError:
        return False


def offered(latched: bool) -> Qos:
    """Return a reliable QoS profile, transient local for a latched topic."""
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
    """Return whether a topic with these QoS profiles is latched: one is transient local."""
    return any(one.durability is QosDurability.TRANSIENT_LOCAL for one in qos)


def type_name(message_type: type[Any]) -> str:
    """Return the type name of a ROS 2 message class, as in sensor_msgs/msg/Image."""
    return f"{message_type.__module__.split('.')[0]}/msg/{message_type.__name__}"


def add_topic(
    writer: Writer, name: str, kind: str, types: Typestore, qos: Sequence[Qos]
) -> Connection:
    """Add a topic of type `kind`, whose definition is in `types`, to an open bag."""
    return writer.add_connection(name, kind, typestore=types, offered_qos_profiles=qos)
