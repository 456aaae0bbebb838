# SPDX-License-Identifier: Apache-2.0
"""One storage file of a bag: MCAP or sqlite3, compressed or not, complete or damaged.

`rosbags` reads files with an index, in the order of recording times. pear_ros.bags.scan reads the
others, and those whose index `rosbags` refuses, in the order of the file.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Protocol, cast

from rosbags.interfaces import ConnectionExtRosbag2
from rosbags.rosbag2 import Reader

from pear_ros.bags.scan import is_indexed, scan
from pear_ros.bags.topic import DamagedError, Message, Topic

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SUFFIXES = (".mcap", ".db3")
COMPRESSED = ".zstd"
_BLOCK = 1 << 16
"""Bytes of a compressed file that are decompressed at once."""
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class StorageFile(Protocol):
    """An open storage file."""

    topics: dict[str, Topic]
    """Topics by name: complete at once, or when `messages` has ended."""
    start: int | None
    """Earliest recording time, nanoseconds; None where there is no message (so far)."""
    end: int | None
    """Latest recording time, nanoseconds; None where there is no message (so far)."""

    def messages(
        self, names: Collection[str] | None, start: int = 0, end: int | None = None
    ) -> Iterator[Message]:
        """Yield the messages of these topics (None: all) recorded from `start` to `end`, in ns.

        Raises DamagedError after the last readable message of a damaged file.
        """
        ...


def is_storage_file(path: Path) -> bool:
    """Return whether a path is a file with the name of a storage file."""
    name = path.name.removesuffix(COMPRESSED)
    return path.is_file() and name.endswith(SUFFIXES) and not name.startswith(".")


def plain_name(path: Path) -> str:
    """Return a storage file's name without the suffixes of format and compression."""
    return Path(path.name.removesuffix(COMPRESSED)).stem


@contextmanager
def open_storage(path: Path) -> Iterator[StorageFile]:
    """Open a storage file for reading; a compressed one is decompressed to a temporary folder."""
    with _decompressed(path) as (plain, cut):
        if not is_indexed(plain):
            yield _Scanned(plain, path)
            return
        try:
            reader = Reader(plain)
            reader.open()
        except Exception:  # Damage, or a kind of definition that it does not support.
            yield _Scanned(plain, path)
            return
        try:
            yield _Indexed(reader, path, cut)
        finally:
            reader.close()


def summary(path: Path) -> tuple[StorageFile, str]:
    """Return the file, closed, with topics and times filled in, and its damage or ""."""
    with open_storage(path) as file:
        found: list[str] = []
        if isinstance(file, _Scanned):
            for _ in until_damage(file.messages(None), found):
                pass
        return file, found[0] if found else ""


def until_damage(messages: Iterable[Message], damage: list[str]) -> Iterator[Message]:
    """Yield the messages; append the text of a DamagedError to `damage` instead of raising it."""
    try:
        yield from messages
    except DamagedError as error:
        damage.append(str(error))


class _Indexed:
    """A storage file with an index, read by `rosbags`."""

    def __init__(self, reader: Reader, path: Path, cut: str) -> None:
        self._reader = reader
        self._path = path
        self._cut = cut
        self.topics: dict[str, Topic] = {}
        for c in reader.connections:
            known = self.topics.get(c.topic)
            qos = tuple(cast(ConnectionExtRosbag2, c.ext).offered_qos_profiles)
            topic = Topic(c.topic, c.msgtype, c.msgdef, qos, c.msgcount)
            if known:
                topic = replace(known, count=known.count + c.msgcount)
            self.topics[c.topic] = topic
        empty = reader.message_count == 0
        self.start = None if empty else reader.start_time
        self.end = None if empty else reader.end_time - 1

    def messages(
        self, names: Collection[str] | None, start: int = 0, end: int | None = None
    ) -> Iterator[Message]:
        """Yield messages as StorageFile.messages describes."""
        wanted = [c for c in self._reader.connections if names is None or c.topic in names]
        if wanted:  # An empty list would select all topics.
            stop = None if end is None else end + 1
            messages = self._reader.messages(wanted, start, stop)
            while (found := self._next(messages)) is not None:
                yield found
        if self._cut:
            raise DamagedError(self._cut)

    def _next(self, messages: Iterator[tuple[object, int, bytes]]) -> Message | None:
        try:
            connection, time, data = next(messages, (None, 0, b""))
        except Exception as error:  # What a damaged file raises depends on the damage.
            raise DamagedError(f"{self._path} is damaged: {_reason(error)}") from error
        return connection and Message(connection.topic, time, _plain(data))  # type: ignore


class _Scanned:
    """A storage file that is read sequentially, up to its damage."""

    def __init__(self, plain: Path, path: Path) -> None:
        self._plain = plain
        self._path = path
        self.topics: dict[str, Topic] = {}
        self.start: int | None = None
        self.end: int | None = None

    def messages(
        self, names: Collection[str] | None, start: int = 0, end: int | None = None
    ) -> Iterator[Message]:
        """Yield messages as StorageFile.messages describes."""
        found = scan(self._plain)
        while True:
            try:
                topic, time, data = next(found)
            except StopIteration:
                return
            except Exception as error:  # What a damaged file raises depends on the damage.
                raise DamagedError(
                    f"{self._path} is cut off or damaged: {_reason(error)}"
                ) from error
            self._count(topic, time)
            wanted = names is None or topic.name in names
            if wanted and start <= time and (end is None or time <= end):
                yield Message(topic.name, time, _plain(data))

    def _count(self, topic: Topic, time: int) -> None:
        known = self.topics.get(topic.name, topic)
        self.topics[topic.name] = replace(known, count=known.count + 1)
        self.start = time if self.start is None else min(self.start, time)
        self.end = time if self.end is None else max(self.end, time)


@contextmanager
def _decompressed(path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the path of the decompressed file, and the damage of the compressed one or ""."""
    if path.suffix != COMPRESSED:
        yield path, ""
        return
    with TemporaryDirectory(prefix="pear_bag_") as folder:
        plain, cut = Path(folder) / path.stem, ""
        with path.open("rb") as source, plain.open("wb") as target:
            try:
                _decompress(source, target)
            except (EOFError, zstd.ZstdError) as error:
                cut = f"{path} is cut off or damaged: {_reason(error)}"
        yield plain, cut


def _decompress(source: BinaryIO, target: BinaryIO) -> None:
    """Decompress up to the damage. Raises EOFError where the end is missing, else ZstdError."""
    part = zstd.ZstdDecompressor()
    while block := source.read(_BLOCK):
        while block:
            target.write(part.decompress(block))
            block = part.unused_data
            if part.eof and block:
                part = zstd.ZstdDecompressor()
    if not part.eof:
        raise EOFError("it ends before its content does")


def _plain(data: bytes) -> bytes:
    """Return a message that rosbag2 may have compressed on its own; CDR never begins so."""
    if data[:4] != _ZSTD_MAGIC:
        return data
    try:
        return zstd.decompress(data)
    except zstd.ZstdError:
        return b""  # An invalid message, which its reader refuses.


def _reason(error: BaseException) -> str:
    text = str(error).strip().rstrip(".")
    return text or type(error).__name__
