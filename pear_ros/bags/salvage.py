# SPDX-License-Identifier: Apache-2.0
"""Messages out of storage files that were not closed or are broken, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import apsw
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat

from pear_ros.bags.topic import Topic

_FORMATS = {"ros2msg": MessageDefinitionFormat.MSG, "ros2idl": MessageDefinitionFormat.IDL}


def salvage(path: Path) -> Iterator[tuple[Topic, int, bytes]]:
    """Topic, time of recording and data of each message, from the file's beginning on.

    Raises whatever the damage leads to, when nothing more can be read.
    """
    return _mcap(path) if path.suffix == ".mcap" else _sqlite3(path)


def has_log(path: Path) -> bool:
    """Whether messages lie in a write-ahead log beside an sqlite3 file.

    A recorder that was killed leaves one behind (rosbag2's storage preset "resilient").
    """
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _mcap(path: Path) -> Iterator[tuple[Topic, int, bytes]]:
    """By the streaming reader of `mcap`, which needs no index at the end."""
    from mcap.exceptions import EndOfFile
    from mcap.records import Channel, Message, Schema
    from mcap.stream_reader import StreamReader

    schemas: dict[int, Schema] = {}
    topics: dict[int, Topic] = {}
    with path.open("rb") as file:
        try:
            for record in StreamReader(file, validate_crcs=True).records:
                if isinstance(record, Schema):
                    schemas[record.id] = record
                elif isinstance(record, Channel) and record.message_encoding == "cdr":
                    schema = schemas[record.schema_id]
                    form = _FORMATS.get(schema.encoding, MessageDefinitionFormat.NONE)
                    definition = MessageDefinition(form, schema.data.decode())
                    topics[record.id] = Topic(record.topic, schema.name, definition)
                elif isinstance(record, Message) and record.channel_id in topics:
                    yield topics[record.channel_id], record.log_time, record.data
        except EndOfFile as error:
            raise EOFError("it ends before its recording does") from error


def _sqlite3(path: Path) -> Iterator[tuple[Topic, int, bytes]]:
    """By its rows' numbers, as the index by time may be what is broken."""
    with closing(_connection(path)) as database:
        # Otherwise SQLite refuses all of a file that is shorter than it should be.
        database.execute("PRAGMA writable_schema=ON")
        topics = {
            number: Topic(name, kind)
            for number, name, kind in database.execute("SELECT id, name, type FROM topics")
        }
        for number, time, data in database.execute(
            "SELECT topic_id, timestamp, data FROM messages ORDER BY id"
        ):
            if number in topics:
                yield topics[number], time, data


def _connection(path: Path) -> apsw.Connection:
    if has_log(path):
        # Without locks and memory that is shared SQLite writes nothing beside the file.
        database = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY, vfs="unix-none")
        database.execute("PRAGMA locking_mode=EXCLUSIVE")
        return database
    uri = f"file:{quote(str(path))}?immutable=1"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    return apsw.Connection(uri, flags, vfs=_WHOLE_PAGES.name)


class _WholePages(apsw.VFS):
    """Lets SQLite see no part of a page that was cut off.

    It takes what is missing for zeros, and would hand out a message that ends in them.
    """

    name = "pear_ros whole pages"

    def __init__(self) -> None:
        super().__init__(self.name, base="")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        """Called by SQLite."""
        database = flags[0] & apsw.SQLITE_OPEN_MAIN_DB
        return (_Database if database else apsw.VFSFile)("", name, flags)


class _Database(apsw.VFSFile):
    def xFileSize(self) -> int:
        """Called by SQLite; the header says how large pages are, where 1 stands for 65536."""
        size = super().xFileSize()
        page = int.from_bytes(self.xRead(2, 16), "big") if size > 18 else 0
        page = 65536 if page == 1 else page
        return size // page * page if page else size


_WHOLE_PAGES = _WholePages()
"""Known to SQLite from now on."""
