# SPDX-License-Identifier: Apache-2.0
"""One storage file of a bag: MCAP or sqlite3, compressed or not, whole or damaged.

Files with an index are read by `rosbags`, in the order of recording times. Others, and those whose
index it refuses, are read by pear_ros.bags.scan, in the order of the file.
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
"""Bytes of a compressed file decompressed at once."""
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class StorageFile(Protocol):
    """A storage file that is open."""

    topics: dict[str, Topic]
    """By name; all are there from the beginning, or when `messages` is through."""
    start: int | None
    """Earliest time of recording, nanoseconds; likewise."""
    end: int | None
    """Latest."""

    def messages(
        self, names: Collection[str] | None, start: int = 0, end: int | None = None
    ) -> Iterator[Message]:
        """Messages of these topics (None: of all) recorded from `start` to `end`, nanoseconds.

        Raises DamagedError after the last that can be read, where there should be more.
        """
        ...


def is_storage_file(path: Path) -> bool:
    """Whether a file's name is that of a storage file."""
    name = path.name.removesuffix(COMPRESSED)
    return path.is_file() and name.endswith(SUFFIXES) and not name.startswith(".")


def plain_name(path: Path) -> str:
    """A storage file's name without what tells of its format."""
    return Path(path.name.removesuffix(COMPRESSED)).stem


@contextmanager
def open_storage(path: Path) -> Iterator[StorageFile]:
    """The storage file, for reading. A compressed one is decompressed beside the others of /tmp."""
    with _decompressed(path) as (plain, cut):
        if not is_indexed(plain):
            yield _Scanned(plain, path)
            return
        try:
            reader = Reader(plain)
            reader.open()
        except Exception:  # Damage, or a definition of a kind that it does not know.
            yield _Scanned(plain, path)
            return
        try:
            yield _Indexed(reader, path, cut)
        finally:
            reader.close()


def summary(path: Path) -> tuple[StorageFile, str]:
    """The file with topics and times filled in, closed; and what is damaged, or ""."""
    with open_storage(path) as file:
        found: list[str] = []
        if isinstance(file, _Scanned):
            for _ in until_damage(file.messages(None), found):
                pass
        return file, found[0] if found else ""


def until_damage(messages: Iterable[Message], damage: list[str]) -> Iterator[Message]:
    """The messages, with the text of a DamagedError added to `damage` instead of raised."""
    try:
        yield from messages
    except DamagedError as error:
        damage.append(str(error))


class _Indexed:
    """Read by `rosbags`."""

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
        """See StorageFile."""
        wanted = [c for c in self._reader.connections if names is None or c.topic in names]
        if wanted:  # None at all would mean all there are.
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
    """Read from its beginning on, as far as possible."""

    def __init__(self, plain: Path, path: Path) -> None:
        self._plain = plain
        self._path = path
        self.topics: dict[str, Topic] = {}
        self.start: int | None = None
        self.end: int | None = None

    def messages(
        self, names: Collection[str] | None, start: int = 0, end: int | None = None
    ) -> Iterator[Message]:
        """See StorageFile."""
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
    """A file that is not compressed, and what is wrong with the compressed one, or ""."""
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
    """Everything up to the damage. Raises EOFError where the end is missing, ZstdError."""
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
    """Messages are compressed one by one where rosbag2 was told so; CDR begins otherwise."""
    if data[:4] != _ZSTD_MAGIC:
        return data
    try:
        return zstd.decompress(data)
    except zstd.ZstdError:
        return b""  # No message at all, which whoever reads it will refuse.


def _reason(error: BaseException) -> str:
    text = str(error).strip().rstrip(".")
    return text or type(error).__name__
