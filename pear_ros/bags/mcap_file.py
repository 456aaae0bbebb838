# SPDX-License-Identifier: Apache-2.0
"""MCAP files, with and without an index, complete or damaged (mcap.dev/spec).

Every size in a file is compared with what the file holds before memory is taken.
"""

from __future__ import annotations

import heapq
import struct
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pear_ros.bags.compression import (
    DAMAGED_COMPRESSION,
    MAX_CHUNK_BYTES,
    MAX_MESSAGE_BYTES,
    TooLargeError,
    plain_message,
    unlz4,
    unzstd,
)
from pear_ros.bags.recorded import LATEST, RecordedTopics
from pear_ros.bags.topic import DamagedError, Message, Topic

MAGIC = b"\x89MCAP0\r\n"
_FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _CHUNK_INDEX = 2, 3, 4, 5, 6, 8
_STATISTICS, _DATA_END = 11, 15
_NEEDED = {_SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _CHUNK_INDEX, _STATISTICS, _DATA_END, _FOOTER}
_MAX_UNUSED = 1 << 24
"""Bytes of a record of another kind that is read for the checksum; larger ones are passed over."""
_HEAD = struct.Struct("<BQ")
"""Opcode and length, before the content of each record."""
_FOOTER_BYTES = _HEAD.size + 20 + len(MAGIC)
_MAX_RECORD = MAX_CHUNK_BYTES + 1024
_OPEN_BYTES = 2 * MAX_CHUNK_BYTES
"""Bytes of chunks that overlap in time, which are open at once; beyond it, order is sacrificed."""
_MESSAGE_HEAD = struct.Struct("<HIQQ")
_UNPACK: dict[str, Callable[[memoryview, int], bytes | memoryview]] = {
    "": lambda data, _: data,
    "zstd": unzstd,
    "lz4": unlz4,
}


class _Chunk(NamedTuple):
    """An entry of the index."""

    start: int
    end: int
    offset: int
    length: int
    channels: frozenset[int]
    """Channels with messages in it; empty where the index does not say."""


class _FoundMessage(NamedTuple):
    time: int
    channel: int
    data: bytes


@dataclass
class _Index:
    chunks: list[_Chunk] = field(default_factory=list)
    counts: dict[int, int] | None = None
    """Messages by channel; None where the file does not say."""


class McapFile:
    """An MCAP file; see pear_ros.bags.storage.StorageFile."""

    def __init__(self, plain: Path, path: Path) -> None:
        """Open the file `plain`; `path`: as texts name it.

        Without an index of all channels and counts, all of it is read for them.
        """
        self._path = path
        self._plain = plain
        self.recorded = RecordedTopics(path)
        self._schemas: dict[int, tuple[str, str, str]] = {}
        self._channels: dict[int, Topic | None] = {}
        self.encodings: set[str] = set()
        """Encodings of messages that are not ROS 2's."""
        self._left_out: set[tuple[int, int]] = set()
        """Channel and time of messages, -1 and offset of chunks that are left out."""
        self.damage = ""
        """Damage that was found on opening; empty: none."""
        with plain.open("rb") as file:
            self._index = self._read_index(file)
            self._summarise(file)

    def messages(
        self, selected: Collection[tuple[str, str]] | None, start: int = 0, end: int | None = None
    ) -> Iterator[Message]:
        """Yield messages as StorageFile.messages describes."""
        last = LATEST if end is None else end
        keys = {
            number: topic
            for number, topic in self._channels.items()
            if topic is not None and (selected is None or topic.key in selected)
        }
        with self._plain.open("rb") as file:
            found = (
                self._in_order(file, set(keys), start, last)
                if self._index is not None
                else self._in_sequence(file)
            )
            for time, channel, data in found:
                if channel in keys and start <= time <= last:
                    yield Message(keys[channel].name, time, plain_message(data))

    def _summarise(self, file: BinaryIO) -> None:
        """Count messages by topic and find the first and last times."""
        index = self._index
        counts: dict[int, int] = {}
        if index is not None and index.counts is not None and self._knows(index):
            counts = index.counts
        else:
            found = (
                (one for chunk in index.chunks for one in self._chunk_at(file, chunk))
                if index is not None
                else self._in_sequence(file)
            )
            try:
                for message in found:
                    if self._channels.get(message.channel) is not None:
                        counts[message.channel] = counts.get(message.channel, 0) + 1
                        self.recorded.extend(message.time, message.time)
            except DamagedError as error:
                self.damage = str(error)
        if index is not None and self.recorded.start is None and any(counts.values()):
            self.recorded.extend(
                min(chunk.start for chunk in index.chunks), max(chunk.end for chunk in index.chunks)
            )
        for number, topic in self._channels.items():
            if topic is not None:
                self.recorded.add(topic, counts.get(number, 0))

    def _knows(self, index: _Index) -> bool:
        """Return whether the index describes every channel that has messages."""
        counted = {number for number, count in (index.counts or {}).items() if count}
        return set.union(counted, *(chunk.channels for chunk in index.chunks)) <= set(
            self._channels
        )

    def _read_index(self, file: BinaryIO) -> _Index | None:
        """Return the index at the end of the file; None where it is missing or damaged."""
        size = file.seek(0, 2)
        if size < len(MAGIC) + _FOOTER_BYTES:
            return None
        file.seek(size - _FOOTER_BYTES)
        footer = file.read(_FOOTER_BYTES)
        opcode, length, begin = struct.unpack_from("<BQQ", footer)
        end = size - _FOOTER_BYTES
        if (opcode, length) != (_FOOTER, 20) or not footer.endswith(MAGIC):
            return None
        if not len(MAGIC) <= begin < end:
            return None
        index = _Index()
        file.seek(begin)
        try:
            for code, content in _records(file, end):
                self._describe(code, content)
                if code == _CHUNK_INDEX:
                    index.chunks.append(_chunk(content, begin))
                elif code == _STATISTICS:
                    index.counts = _counts(content)
        except (DamagedError, ValueError, struct.error):
            index.chunks.clear()
        if not index.chunks or _overlap(index.chunks):
            self.recorded = RecordedTopics(self._path)
            self._schemas.clear()
            self._channels.clear()
            return None
        index.chunks.sort(key=lambda chunk: (chunk.start, chunk.offset))
        return index

    def _in_order(
        self, file: BinaryIO, channels: set[int], start: int, last: int
    ) -> Iterator[_FoundMessage]:
        """Yield the messages of these channels in the order of time."""
        assert self._index is not None
        waiting = [
            chunk
            for chunk in self._index.chunks
            if chunk.start <= last
            and start <= chunk.end
            and (not chunk.channels or chunk.channels & channels)
        ]
        waiting.reverse()
        opened: list[tuple[int, int, list[_FoundMessage], int]] = []
        size = 0
        while waiting or opened:
            full = size > _OPEN_BYTES
            if waiting and (not opened or (waiting[-1].start <= opened[0][0] and not full)):
                chunk = waiting.pop()
                found = [
                    one
                    for one in self._chunk_at(file, chunk)
                    if one.channel in channels and start <= one.time <= last
                ]
                if found:
                    # From the last to the first, to be popped.
                    found.sort(key=lambda one: one.time)
                    found.reverse()
                    taken = sum(len(one.data) for one in found)
                    size += taken
                    heapq.heappush(opened, (found[-1].time, chunk.offset, found, taken))
                continue
            _, offset, found, taken = opened[0]
            yield found.pop()
            if found:
                heapq.heapreplace(opened, (found[-1].time, offset, found, taken))
            else:
                heapq.heappop(opened)
                size -= taken

    def _chunk_at(self, file: BinaryIO, chunk: _Chunk) -> Iterator[_FoundMessage]:
        """Yield the messages of a chunk of the index, in its order; none where it is damaged."""
        file.seek(chunk.offset)
        try:
            for code, content in _records(file, chunk.offset + chunk.length):
                if code == _CHUNK:
                    yield from self._in_chunk(content, chunk.offset)
        except DamagedError:
            self._leave_out((-1, chunk.offset), "chunks that are damaged")

    def _in_chunk(self, content: bytes, offset: int) -> Iterator[_FoundMessage]:
        """Yield the messages of a chunk up to its damage; `offset`: of its record in the file."""
        try:
            data = memoryview(_unpacked(content))
            place = 0
            while place < len(data):
                code, length = _HEAD.unpack_from(data, place)
                place += _HEAD.size
                if length > len(data) - place:
                    raise ValueError("a record is longer than its chunk")
                if code == _MESSAGE:
                    found = self._message(data[place : place + length])
                    if found is not None:
                        yield found
                elif code in (_SCHEMA, _CHANNEL):
                    self._describe(code, bytes(data[place : place + length]))
                place += length
        except TooLargeError:
            self._leave_out((-1, offset), f"chunks of more than {MAX_CHUNK_BYTES >> 20} MiB")
        except (ValueError, struct.error, *DAMAGED_COMPRESSION):
            self._leave_out((-1, offset), "chunks that are damaged")

    def _in_sequence(self, file: BinaryIO) -> Iterator[_FoundMessage]:
        """Yield all messages in the order of the file. Raises DamagedError where it is damaged."""
        try:
            if file.seek(0) or file.read(len(MAGIC)) != MAGIC:
                raise DamagedError("it does not begin as an MCAP")
            end = file.seek(0, 2)
            file.seek(len(MAGIC))
            ended = False
            place = file.tell()
            for code, content in _records(file, end, last=_FOOTER):
                if code == _MESSAGE:
                    found = self._message(memoryview(content))
                    if found is not None:
                        yield found
                elif code == _CHUNK:
                    yield from self._in_chunk(content, place)
                elif code in (_SCHEMA, _CHANNEL):
                    self._describe(code, content)
                ended = code == _FOOTER
                place = file.tell()
            if not ended:
                raise DamagedError("it ends before its recording does")
        except (DamagedError, ValueError, struct.error) as error:
            raise DamagedError(f"{self._path} is cut off or damaged: {error}") from error

    def _message(self, record: memoryview) -> _FoundMessage | None:
        channel, _, time, _ = _MESSAGE_HEAD.unpack_from(record)
        if len(record) > MAX_MESSAGE_BYTES:
            what = f"messages of more than {MAX_MESSAGE_BYTES >> 20} MiB"
            self._leave_out((channel, time), what)
            return None
        if time > LATEST:
            self._leave_out((channel, time), "messages with impossible recording times")
            return None
        return _FoundMessage(time, channel, bytes(record[_MESSAGE_HEAD.size :]))

    def _describe(self, code: int, content: bytes) -> None:
        """Note a schema or a channel."""
        if code == _SCHEMA:
            number = struct.unpack_from("<H", content)[0]
            name, place = _text(content, 2)
            encoding, place = _text(content, place)
            text, _ = _text(content, place)
            self._schemas.setdefault(number, (name, encoding, text))
        elif code == _CHANNEL:
            number, schema = struct.unpack_from("<HH", content)
            topic, place = _text(content, 4)
            encoding, place = _text(content, place)
            if number in self._channels:
                return
            self._channels[number] = None
            if encoding != "cdr":
                self.encodings.add(ascii(encoding[:20])[1:-1])
                self.recorded.leave_out(f"topics encoded as {ascii(encoding[:20])[1:-1]}")
                return
            qos = _entries(content, place).get("offered_qos_profiles", "")
            name, kind, text = self._schemas.get(schema, ("", "", ""))
            self._channels[number] = self.recorded.topic(topic, name, kind, text, qos)

    def _leave_out(self, which: tuple[int, int], what: str) -> None:
        """Count a chunk or a message that is left out, however often it is met."""
        if which not in self._left_out:
            self._left_out.add(which)
            self.recorded.leave_out(what)


def _records(file: BinaryIO, end: int, last: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield opcode and content of the records up to `end`, or up to one with the opcode `last`.

    The content of those that are too large is empty. Raises DamagedError where a record is
    incomplete, or the data have another checksum than the file says.
    """
    checksum: int | None = zlib.crc32(MAGIC) if last is not None else None
    place = file.tell()
    while place < end:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise DamagedError("it ends before its recording does")
        code, length = _HEAD.unpack(head)
        place += _HEAD.size + length
        if place > end:
            raise DamagedError("it ends before its recording does")
        content = b""
        if length > (_MAX_RECORD if code in _NEEDED else _MAX_UNUSED):
            checksum = None
            file.seek(place)
        else:
            content = file.read(length)
            if len(content) < length:
                raise DamagedError("it ends before its recording does")
        if code == _DATA_END and checksum is not None:
            expected = struct.unpack_from("<I", content)[0]
            if expected not in (0, checksum):
                raise DamagedError("its checksum is another one")
        if checksum is not None:
            checksum = zlib.crc32(content, zlib.crc32(head, checksum))
        yield code, content
        if code == last:
            return


def _overlap(chunks: Collection[_Chunk]) -> bool:
    """Return whether two entries of an index are of the same place in the file."""
    by_place = sorted(chunks, key=lambda chunk: chunk.offset)
    return any(one.offset + max(one.length, 1) > other.offset for one, other in pairwise(by_place))


def _unpacked(content: bytes) -> bytes | memoryview:
    """Return the records in a chunk. Raises TooLargeError; another error where it is damaged."""
    _, _, size, checksum = struct.unpack_from("<QQQI", content)
    compression, place = _text(content, 28)
    length = struct.unpack_from("<Q", content, place)[0]
    data = memoryview(content)[place + 8 : place + 8 + length]
    if size > MAX_CHUNK_BYTES:
        raise TooLargeError("it declares too much")
    if len(data) != length or compression not in _UNPACK:
        raise ValueError("its head is damaged")
    found = _UNPACK[compression](data, size)
    if len(found) != size:
        raise ValueError("it has another size")
    if checksum and zlib.crc32(found) != checksum:
        raise ValueError("its checksum is another one")
    return found


def _chunk(content: bytes, data_end: int) -> _Chunk:
    start, end, offset, length, size = struct.unpack_from("<QQQQI", content)
    if offset + length > data_end or end > LATEST or size > len(content):
        raise ValueError("the index is damaged")
    channels = (pair[0] for pair in struct.iter_unpack("<HQ", content[36 : 36 + size]))
    return _Chunk(start, end, offset, length, frozenset(channels))


def _counts(content: bytes) -> dict[int, int]:
    size = struct.unpack_from("<I", content, 42)[0]
    return dict(struct.iter_unpack("<HQ", content[46 : 46 + size]))


def _text(content: bytes, place: int) -> tuple[str, int]:
    """Return a text with its length before it, and the place behind it."""
    end = place + 4 + struct.unpack_from("<I", content, place)[0]
    if end > len(content):
        raise ValueError("a text is longer than its record")
    return content[place + 4 : end].decode(), end


def _entries(content: bytes, place: int) -> dict[str, str]:
    """Return the texts of a map by their keys."""
    end = place + 4 + struct.unpack_from("<I", content, place)[0]
    place += 4
    found = {}
    while place < min(end, len(content)):
        key, place = _text(content, place)
        found[key], place = _text(content, place)
    return found
