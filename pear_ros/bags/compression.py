# SPDX-License-Identifier: Apache-2.0
"""Decompression whose output is bounded before memory is taken."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

from lz4.frame import LZ4FrameDecompressor

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_MESSAGE_BYTES = 1 << 28
"""Bytes of the largest message that is read: twice an image of 8K with 8 bits."""
MAX_CHUNK_BYTES = 1 << 29
"""Bytes of the largest chunk of an MCAP that is read; recorders write a few megabytes."""
_FREE_RATIO = 200
"""Ratio up to which a compressed storage file is decompressed, however large it becomes."""
_FREE_BYTES = 1 << 30
"""Bytes that a compressed storage file may become in any case."""
_BLOCK = 1 << 16
"""Bytes of a compressed file that are decompressed at once."""
_MAX_FRAMES = 1000
"""Zstandard frames that one message or chunk may have; writers write one."""
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

DAMAGED_COMPRESSION = (EOFError, zstd.ZstdError, RuntimeError)
"""What the functions of this module raise for damaged data beside TooLargeError."""


class TooLargeError(ValueError):
    """Content that would become larger than its bound; nothing of it was kept."""


def unzstd(data: bytes | memoryview, limit: int) -> bytes:
    """Return the content of Zstandard frames.

    Raises TooLargeError where it is more than `limit` bytes, one of DAMAGED_COMPRESSION where it
    is damaged.
    """
    found: bytes = b""
    for _ in range(_MAX_FRAMES):
        part = zstd.ZstdDecompressor()
        found += part.decompress(data, max_length=limit + 1 - len(found))
        if len(found) > limit:
            raise TooLargeError(f"it has more than {limit >> 20} MiB")
        if not part.eof:
            raise EOFError("it ends before its content does")
        data = part.unused_data
        if not data:
            return found
    raise TooLargeError(f"it has more than {_MAX_FRAMES} frames")


def unlz4(data: bytes | memoryview, limit: int) -> bytes:
    """Return the content of an LZ4 frame; raises what `unzstd` raises."""
    part = LZ4FrameDecompressor()
    found: bytes = part.decompress(data, max_length=limit + 1)
    if len(found) > limit:
        raise TooLargeError(f"it has more than {limit >> 20} MiB")
    if not part.eof:
        raise EOFError("it ends before its content does")
    return found


def plain_message(data: bytes) -> bytes:
    """Return a message that rosbag2 may have compressed on its own; CDR never begins so.

    A damaged one, or one of more than MAX_MESSAGE_BYTES, becomes empty, which its reader refuses.
    """
    if data[:4] != _ZSTD_MAGIC:
        return data
    try:
        return unzstd(data, MAX_MESSAGE_BYTES)
    except (TooLargeError, *DAMAGED_COMPRESSION):
        return b""


def unzstd_file(path: Path, target: BinaryIO) -> None:
    """Decompress the file at `path` up to its damage.

    Raises TooLargeError where it becomes more than a recording can, after that much; otherwise
    what `unzstd` raises.
    """
    left = max(_FREE_BYTES, _FREE_RATIO * path.stat().st_size)
    part = zstd.ZstdDecompressor()
    with path.open("rb") as source:
        while block := source.read(_BLOCK):
            while block or not (part.needs_input or part.eof):
                found = part.decompress(block, max_length=_BLOCK << 4)
                left -= len(found)
                if left < 0:
                    raise TooLargeError(
                        f"it becomes more than {_FREE_RATIO} times as large when decompressed"
                    )
                target.write(found)
                block = b""
                if part.eof and part.unused_data:
                    block = part.unused_data
                    part = zstd.ZstdDecompressor()
    if not part.eof:
        raise EOFError("it ends before its content does")
