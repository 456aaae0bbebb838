# SPDX-License-Identifier: Apache-2.0
"""Files of pictures that declare more than they hold."""

from __future__ import annotations

import struct
import zlib


def png_of(width: int, height: int) -> bytes:
    """A PNG file that declares this size, with hardly any pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)
