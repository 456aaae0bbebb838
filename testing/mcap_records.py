# SPDX-License-Identifier: Apache-2.0
"""MCAP files from single records, valid or not."""

from __future__ import annotations

import struct
from collections.abc import Iterable

MAGIC = b"\x89MCAP0\r\n"


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("<I", len(data)) + data


def record(opcode: int, content: bytes, length: int | None = None) -> bytes:
    """Return a record; `length`: what it declares instead of its own."""
    return struct.pack("<BQ", opcode, len(content) if length is None else length) + content


def schema(number: int, name: str, definition: str, encoding: str = "ros2msg") -> bytes:
    return record(3, struct.pack("<H", number) + text(name) + text(encoding) + text(definition))


def channel(number: int, schema: int, topic: str, encoding: str = "cdr") -> bytes:
    return record(
        4, struct.pack("<HH", number, schema) + text(topic) + text(encoding) + struct.pack("<I", 0)
    )


def message(channel: int, time: int, data: bytes) -> bytes:
    return record(5, struct.pack("<HIQQ", channel, 0, time, time) + data)


def chunk(data: bytes, compression: str, size: int, start: int = 0, end: int = 2**62) -> bytes:
    """Return a chunk that declares `size` bytes."""
    head = struct.pack("<QQQI", start, end, size, 0) + text(compression)
    return record(6, head + struct.pack("<Q", len(data)) + data)


def mcap(*records: bytes) -> bytes:
    """Return a file with these records and no index."""
    header = record(1, text("ros2") + text("test"))
    end = record(15, struct.pack("<I", 0)) + record(2, struct.pack("<QQI", 0, 0, 0))
    return MAGIC + header + b"".join(records) + end + MAGIC


def indexed(chunks: Iterable[bytes], summary: bytes = b"") -> bytes:
    """Return a file with chunks and an index of them, without message indexes and counts."""
    content = MAGIC + record(1, text("ros2") + text("test"))
    index = b""
    for one in chunks:
        start, end, size = struct.unpack_from("<QQQ", one, 9)
        entry = struct.pack("<QQQQIQ", start, end, len(content), len(one), 0, 0)
        index += record(8, entry + text("") + struct.pack("<QQ", 0, size))
        content += one
    content += record(15, struct.pack("<I", 0))
    footer = record(2, struct.pack("<QQI", len(content), 0, 0))
    return content + summary + index + footer + MAGIC
