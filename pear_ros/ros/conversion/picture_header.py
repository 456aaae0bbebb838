# SPDX-License-Identifier: Apache-2.0
"""What the first bytes of a compressed picture say: format, size and depth, before it is decoded.

JPEG: ITU-T T.81, annex B. PNG: ISO/IEC 15948. WebP: RFC 9649. BMP and TIFF 6.0 by their headers.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

END_OF_JPEG = b"\xff\xd9"
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = 0xC2
_START_OF_SCAN = 0xDA
_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""The next marker in a scan that is neither a stuffed byte nor a restart."""
_MAX_SCANS = 100
"""Scans of a progressive JPEG; encoders make about ten, and each costs a pass over the picture."""
_MAX_TAGS = 200
"""Tags of a TIFF that are read."""
_TIFF_SIZE = {0x100: 0, 0x101: 1}
"""Tags of width and height."""
_TIFF_TYPES = {3: "H", 4: "I"}
_MAX_SEGMENTS = 1000
"""Segments of a JPEG before its frame that are read."""
_MARKER = re.compile(rb"\xff+([^\xff])", re.DOTALL)
_ALONE = frozenset({0x01, *range(0xD0, 0xD8), END_OF_JPEG[1]})
"""Markers of a JPEG that no length follows."""


class PictureHeader(NamedTuple):
    """Format and size of a compressed picture."""

    format: str
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    bits: int = 8
    """Bits of a sample; 8 where another number does not matter."""


def picture_header(data: bytes) -> PictureHeader | None:
    """Return format, size and depth of the picture `data`; None if it is of no known format."""
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
            width, height, bits = struct.unpack_from(">IIB", data, 16)
            return PictureHeader("PNG", width, height, bits)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith(b"BM"):
            old = data[14:18] == b"\x0c\0\0\0"
            width, height = struct.unpack_from("<HH" if old else "<ii", data, 18)
            return PictureHeader("BMP", abs(width), abs(height))
        if data[:4] in (b"II*\0", b"MM\0*"):
            return _tiff(data, "<" if data.startswith(b"II") else ">")
    except (struct.error, IndexError):
        pass
    return None


def jpeg_end(data: bytes) -> int:
    """Return where the JPEG at the beginning of `data` ends, with its end marker; 0 without one.

    Markers in segments, such as those of a thumbnail, and in what follows the picture, do not
    count.
    """
    at, scans = 2, 0
    while (segment := _segment(data, at)) is not None:
        marker, _, at = segment
        if marker == END_OF_JPEG[1]:
            return at
        if marker == _START_OF_SCAN:
            scans += 1
            found = _IN_SCAN.search(data, at)
            if found is None or scans > _MAX_SCANS:
                return 0
            at = found.start()
    return 0


def has_too_many_scans(data: bytes) -> bool:
    """Return whether a JPEG has more scans than an encoder makes."""
    return data.count(bytes((0xFF, _START_OF_SCAN))) > _MAX_SCANS


def _jpeg(data: bytes) -> PictureHeader | None:
    at = 2
    for _ in range(_MAX_SEGMENTS):
        segment = _segment(data, at)
        if segment is None:
            return None
        marker, begin, at = segment
        if marker in _FRAME_MARKERS:
            bits, height, width = struct.unpack_from(">BHH", data, begin)
            name = "progressive JPEG" if marker == _PROGRESSIVE else "JPEG"
            return PictureHeader(name, width, height, bits)
    return None


def _segment(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Marker of a JPEG's segment at `at`, begin and end of its content; None if there is none."""
    found = _MARKER.match(data, at)
    if found is None:
        return None
    marker, begin = found[1][0], found.end()
    if marker in _ALONE:
        return marker, begin, begin
    length = int.from_bytes(data[begin : begin + 2], "big")
    return (marker, begin + 2, begin + length) if length >= 2 else None


def _webp(data: bytes) -> PictureHeader | None:
    kind = data[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return PictureHeader("WebP", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        return PictureHeader("WebP", (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1)
    if kind == b"VP8X":
        width = int.from_bytes(data[24:27], "little") + 1
        return PictureHeader("WebP", width, int.from_bytes(data[27:30], "little") + 1)
    return None


def _tiff(data: bytes, order: str) -> PictureHeader | None:
    (at,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, at)
    size = [0, 0]
    for n in range(min(count, _MAX_TAGS)):
        tag, kind = struct.unpack_from(f"{order}HH", data, at + 2 + 12 * n)
        if tag in _TIFF_SIZE:
            code = _TIFF_TYPES.get(kind)
            if code is None:
                return None
            (value,) = struct.unpack_from(f"{order}{code}", data, at + 10 + 12 * n)
            size[_TIFF_SIZE[tag]] = max(size[_TIFF_SIZE[tag]], value)
    return PictureHeader("TIFF", *size)
