# SPDX-License-Identifier: Apache-2.0
"""Sequential reading of storage files whose index is missing or damaged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw
from mcap.exceptions import EndOfFile
from mcap.reader import make_reader
from mcap.records import Channel, Message, Schema
from mcap.stream_reader import StreamReader
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat, Qos
from rosbags.rosbag2.metadata import parse_qos

from pear_ros.bags.topic import NO_DEFINITION, Topic

_FORMATS = {"ros2msg": MessageDefinitionFormat.MSG, "ros2idl": MessageDefinitionFormat.IDL}


def is_indexed(path: Path) -> bool:
    """Return whether a storage file has an index of all messages, which may be damaged.

    Files of a killed recorder have none: an MCAP lacks its end, and an sqlite3 file has a
    write-ahead log beside it (rosbag2's storage preset "resilient"). Nor have MCAPs without chunks
    ("fastwrite").
    """
    if path.suffix != ".mcap":
        log = path.with_name(f"{path.name}-wal")
        return not log.exists() or log.stat().st_size == 0
    with path.open("rb") as file:
        try:
            summary = make_reader(file).get_summary()
        except Exception:  # What a damaged file raises depends on the damage.
            return False
    return summary is not None and bool(summary.chunk_indexes)


def scan(path: Path) -> Iterator[tuple[Topic, int, bytes]]:
    """Yield topic, recording time (ns) and data of each message, in the order of the file.

    Raises any exception where damage ends the readable content.
    """
    return _mcap(path) if path.suffix == ".mcap" else _sqlite3(path)


def _mcap(path: Path) -> Iterator[tuple[Topic, int, bytes]]:
    schemas: dict[int, Schema] = {}
    topics: dict[int, Topic] = {}
    with path.open("rb") as file:
        try:
            for record in StreamReader(file, validate_crcs=True).records:
                if isinstance(record, Schema):
                    schemas[record.id] = record
                elif isinstance(record, Channel) and record.message_encoding == "cdr":
                    schema = schemas[record.schema_id]
                    topics[record.id] = Topic(
                        record.topic,
                        schema.name,
                        _definition(schema.encoding, schema.data.decode()),
                        _qos(record.metadata.get("offered_qos_profiles", "")),
                    )
                elif isinstance(record, Message) and record.channel_id in topics:
                    yield topics[record.channel_id], record.log_time, record.data
        except EndOfFile as error:
            raise EOFError("it ends before its recording does") from error


def _sqlite3(path: Path) -> Iterator[tuple[Topic, int, bytes]]:
    """Yield the messages in the order of their row ids, since the index by time may be damaged."""
    with closing(_connection(path)) as database:
        # Otherwise SQLite refuses all of a file that is shorter than it should be.
        database.execute("PRAGMA writable_schema=ON")
        definitions = _definitions(database)
        topics = {
            row["id"]: Topic(
                row["name"],
                row["type"],
                definitions.get(row["type"], NO_DEFINITION),
                _qos(row.get("offered_qos_profiles", "")),
            )
            for row in _rows(database, "topics")
        }
        for number, time, data in database.execute(
            "SELECT topic_id, timestamp, data FROM messages ORDER BY id"
        ):
            if number in topics:
                yield topics[number], time, data


def _connection(path: Path) -> apsw.Connection:
    if not is_indexed(path):
        # Without locks and memory that is shared SQLite writes nothing beside the file.
        database = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY, vfs="unix-none")
        database.execute("PRAGMA locking_mode=EXCLUSIVE")
        return database
    uri = f"file:{quote(str(path))}?immutable=1"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    return apsw.Connection(uri, flags, vfs=_WHOLE_PAGES.name)


def _definitions(database: apsw.Connection) -> dict[str, MessageDefinition]:
    """Return the definitions by type; none where they are damaged, which messages may not be."""
    try:
        return {
            row["topic_type"]: _definition(row["encoding"], row["encoded_message_definition"])
            for row in _rows(database, "message_definitions")
        }
    except apsw.Error:
        return {}


def _rows(database: apsw.Connection, table: str) -> Iterator[dict[str, Any]]:
    """Yield rows by column names, which depend on rosbag2's version; none without a table."""
    if database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [table]).fetchone():
        rows = database.execute(f"SELECT * FROM {table}")
        for row in rows:
            yield dict(zip((name for name, _ in rows.getdescription()), row, strict=True))


def _definition(encoding: str, text: str) -> MessageDefinition:
    """Return a definition; NO_DEFINITION for encodings that are not those of ROS 2 messages."""
    return MessageDefinition(_FORMATS[encoding], text) if encoding in _FORMATS else NO_DEFINITION


def _qos(text: str) -> tuple[Qos, ...]:
    """Return the QoS profiles in a text; none where it is damaged."""
    try:
        return tuple(parse_qos(text))
    except Exception:  # What damaged text raises depends on the damage.
        return ()


class _WholePages(apsw.VFS):
    """Hides a truncated last page from SQLite, which would pad it and its message with zeros."""

    name = "pear_ros whole pages"

    def __init__(self) -> None:
        super().__init__(self.name, base="")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        """Open a file, as SQLite requests it."""
        database = flags[0] & apsw.SQLITE_OPEN_MAIN_DB
        return (_Database if database else apsw.VFSFile)("", name, flags)


class _Database(apsw.VFSFile):
    def xFileSize(self) -> int:
        """Return the size without a truncated page; in the header, page size 1 means 65536."""
        size = super().xFileSize()
        page = int.from_bytes(self.xRead(2, 16), "big") if size > 18 else 0
        page = 65536 if page == 1 else page
        return size // page * page if page else size


_WHOLE_PAGES = _WholePages()
"""Registered with SQLite by its construction."""
