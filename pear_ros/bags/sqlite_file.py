# SPDX-License-Identifier: Apache-2.0
"""Files of rosbag2's storage sqlite3, complete or damaged.

A database is a program of others: it may hold views and columns that are computed. Only plain
tables are read, without writing, in memory alone, and with a limit to SQLite's steps between two
rows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw

from pear_ros.bags.compression import MAX_MESSAGE_BYTES, plain_message
from pear_ros.bags.recorded import LATEST, RecordedTopics
from pear_ros.bags.topic import DamagedError, Message, Topic

_STEPS_AT_ONCE = 100_000
"""Steps of SQLite after which they are counted."""
_FREE_STEPS = 10_000_000
"""Steps that a row may take in any file, within a second."""
_STEPS_PER_BYTE = 2
"""Further steps for each byte of the file: reading a row takes fewer than it has bytes."""


class SqliteFile:
    """A file of the storage sqlite3; see pear_ros.bags.storage.StorageFile."""

    def __init__(self, plain: Path, path: Path) -> None:
        """Open the file `plain`; `path`: as texts name it."""
        self._plain = plain
        self._path = path
        self._topics: dict[int, Topic] = {}
        self.encodings: set[str] = set()
        """Encodings of messages that are not ROS 2's."""
        self.damage = ""
        """Damage that was found on opening; empty: none."""
        self._left_out: set[int] = set()
        """Ids of messages that are left out."""
        self.recorded = RecordedTopics(path)
        self._by_time = not _has_log(plain)
        """Whether the file is complete, so that its index by time may be used."""
        try:
            self._summarise()
        except (apsw.Error, DamagedError) as error:
            if self._by_time:
                # Read up to the damage, in the order of the ids.
                self._by_time = False
                self.recorded = RecordedTopics(path)
                self._topics, self._left_out, self.encodings = {}, set(), set()
                try:
                    self._summarise()
                except (apsw.Error, DamagedError) as again:
                    self.damage = self._text(again)
            else:
                self.damage = self._text(error)

    def messages(
        self, selected: Collection[tuple[str, str]] | None, start: int = 0, end: int | None = None
    ) -> Iterator[Message]:
        """Yield messages as StorageFile.messages describes."""
        last = LATEST if end is None else end
        topics = {
            number: topic
            for number, topic in self._topics.items()
            if selected is None or topic.key in selected
        }
        try:
            with closing(_Database(self._plain, self._by_time)) as database:
                for row in self._rows_of(database, topics, start, last):
                    number, topic, time, data = row
                    if topic not in topics or not isinstance(time, int):
                        continue
                    if not isinstance(data, bytes):
                        self._leave_out(number, "messages that are no bytes")
                    elif start <= time <= last:
                        yield Message(topics[topic].name, time, plain_message(data))
        except (apsw.Error, DamagedError) as error:
            raise DamagedError(self._text(error)) from error

    def _rows_of(
        self, database: _Database, topics: Collection[int], start: int, last: int
    ) -> Iterator[tuple[Any, ...]]:
        if not database.is_table("messages"):
            return
        columns = "SELECT id, topic_id, timestamp, data FROM messages"
        if not self._by_time:
            # The index by time may be damaged.
            yield from database.rows(f"{columns} ORDER BY id")
            return
        some = ",".join(str(number) for number in topics)
        which = f"WHERE timestamp BETWEEN ? AND ? AND topic_id IN ({some})"
        query = f"{columns} {which} ORDER BY timestamp"
        if not database.sorts(query, (start, last)):
            yield from database.rows(query, (start, last))
            return
        # Without an index by time, only ids are sorted, which take little memory.
        found = database.rows(f"SELECT timestamp, id FROM messages {which}", (start, last))
        for _, number in sorted(row for row in found if type(row[0]) is type(row[1]) is int):
            yield from database.rows(f"{columns} WHERE id = ?", (number,))

    def _summarise(self) -> None:
        """Read the topics, count their messages and find the first and last times."""
        with closing(_Database(self._plain, self._by_time)) as database:
            definitions = self._definitions(database)
            for row in database.table("topics"):
                number, kind = row.get("id"), row.get("type")
                encoding = row.get("serialization_format", "cdr")
                if not isinstance(number, int):
                    continue
                if encoding != "cdr":
                    name = ascii(str(encoding)[:20])[1:-1]
                    self.encodings.add(name)
                    self.recorded.leave_out(f"topics encoded as {name}")
                    continue
                form, text = definitions.get(kind, ("", ""))
                topic = self.recorded.topic(
                    row.get("name"), kind, form, text, row.get("offered_qos_profiles", "")
                )
                if topic is not None:
                    self._topics[number] = topic
                    self.recorded.add(topic)
            if not database.is_table("messages"):
                raise DamagedError("it has no table of messages")
            counts = dict.fromkeys(self._topics, 0)
            try:
                order = "" if self._by_time else " ORDER BY id"
                query = f"SELECT topic_id, timestamp, id FROM messages{order}"
                for number, time, message in database.rows(query):
                    if number not in counts:
                        continue
                    if not isinstance(time, int) or not 0 <= time <= LATEST:
                        self._leave_out(message, "messages with impossible recording times")
                        continue
                    counts[number] += 1
                    self.recorded.extend(time, time)
            finally:
                for number, count in counts.items():
                    self.recorded.add(self._topics[number], count)

    def _definitions(self, database: _Database) -> dict[Any, tuple[Any, Any]]:
        """Return the definitions by type; none where they are damaged: messages may not be."""
        try:
            return {
                row.get("topic_type"): (row.get("encoding"), row.get("encoded_message_definition"))
                for row in database.table("message_definitions")
            }
        except (apsw.Error, DamagedError):
            if self._by_time:
                raise
            return {}

    def _leave_out(self, number: int, what: str) -> None:
        if number not in self._left_out:
            self._left_out.add(number)
            self.recorded.leave_out(what)

    def _text(self, error: Exception) -> str:
        if isinstance(error, apsw.InterruptError):
            return f"{self._path} cannot be used: a query of its database does not end"
        reason = str(error).strip().rstrip(".") or type(error).__name__
        return f"{self._path} is cut off or damaged: {reason}"


def written_by(path: Path) -> str:
    """Return the ROS distribution that wrote a database, or the library; empty: unknown."""
    try:
        with closing(_Database(path, complete=True)) as database:
            for row in database.table("schema"):
                return str(row.get("ros_distro", ""))
    except (apsw.Error, DamagedError):
        pass
    return ""


class _Database:
    """A database that is only read."""

    def __init__(self, path: Path, complete: bool) -> None:
        """Open the database at `path`; `complete`: whether it is refused where it is damaged."""
        if _has_log(path):
            # Without locks and memory that is shared SQLite writes nothing beside the file.
            self._connection = apsw.Connection(
                str(path), apsw.SQLITE_OPEN_READONLY, vfs="unix-none"
            )
            self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        else:
            uri = f"file:{quote(str(path))}?immutable=1"
            flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
            vfs = None if complete else _WHOLE_PAGES.name
            self._connection = apsw.Connection(uri, flags, vfs=vfs)
        connection = self._connection
        connection.limit(apsw.SQLITE_LIMIT_LENGTH, MAX_MESSAGE_BYTES)
        connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        self._steps = 0
        self._most = _FREE_STEPS + _STEPS_PER_BYTE * path.stat().st_size
        connection.set_progress_handler(self._step, _STEPS_AT_ONCE)
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute("PRAGMA query_only=ON")
        if not complete:
            # Otherwise SQLite refuses all of a file that is shorter than it should be.
            connection.execute("PRAGMA writable_schema=ON")

    def close(self) -> None:
        self._connection.close()

    def rows(self, query: str, bindings: tuple[int, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query.

        Raises apsw.Error, which is InterruptError after too many steps, or DamagedError.
        """
        self._steps = 0
        try:
            for row in self._connection.execute(query, bindings):
                self._steps = 0
                yield row
        except apsw.Error:
            raise
        except Exception as error:  # What a damaged text raises depends on the damage.
            raise DamagedError(f"a text is damaged ({type(error).__name__})") from error

    def sorts(self, query: str, bindings: tuple[int, ...]) -> bool:
        """Return whether SQLite would sort whole rows for a query, since it has no index."""
        plan = self.rows(f"EXPLAIN QUERY PLAN {query}", bindings)
        return any("TEMP B-TREE" in str(row) for row in plan)

    def is_table(self, name: str) -> bool:
        """Return whether there is such a table. Raises DamagedError where it computes its rows."""
        found = list(
            self.rows(
                "SELECT type, rootpage, substr(sql, 1, 12) FROM sqlite_master WHERE lower(name) = "
                f"'{name}' LIMIT 2"
            )
        )
        if not found:
            return False
        kind, page, text = found[0]
        plain = kind == "table" and bool(page) and str(text).upper() == "CREATE TABLE"
        hidden = (row[6] for row in self.rows(f"PRAGMA table_xinfo({name})")) if plain else ()
        if not plain or len(found) > 1 or any(hidden):
            raise DamagedError(f"{name} is no plain table of its database")
        return True

    def table(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield rows by column names, which depend on rosbag2's version; none without a table."""
        if self.is_table(name):
            columns = [row[1] for row in self.rows(f"PRAGMA table_xinfo({name})")]
            for row in self.rows(f"SELECT * FROM {name}"):
                yield dict(zip(columns, row, strict=True))

    def _step(self) -> bool:
        """Return whether SQLite shall stop."""
        self._steps += _STEPS_AT_ONCE
        return self._steps > self._most


def _has_log(path: Path) -> bool:
    """Return whether a write-ahead log is beside the file (rosbag2's preset "resilient")."""
    log = path.with_name(f"{path.name}-wal")
    return log.is_file() and log.stat().st_size > 0


class _WholePages(apsw.VFS):
    """Hides a truncated last page from SQLite, which would pad it and its message with zeros."""

    name = "pear_ros whole pages"

    def __init__(self) -> None:
        super().__init__(self.name, base="")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        """Open a file, as SQLite requests it."""
        database = flags[0] & apsw.SQLITE_OPEN_MAIN_DB
        return (_Pages if database else apsw.VFSFile)("", name, flags)


class _Pages(apsw.VFSFile):
    def xFileSize(self) -> int:
        """Return the size without a truncated page; in the header, page size 1 means 65536."""
        size = super().xFileSize()
        page = int.from_bytes(self.xRead(2, 16), "big") if size > 18 else 0
        page = 65536 if page == 1 else page
        return size // page * page if page else size


_WHOLE_PAGES = _WholePages()
"""Registered with SQLite by its construction."""
