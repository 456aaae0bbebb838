# SPDX-License-Identifier: Apache-2.0
"""Conversion of depth images (REP-118), also compressed ones, to metres, NaN where unknown."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np

from pear_ros.core.people import Array
from pear_ros.core.quoting import quoted
from pear_ros.ros.conversion.notes import Note
from pear_ros.ros.conversion.picture_header import picture_header
from pear_ros.ros.conversion.pixels import ImageError, Pixels, pixels_of

_FURTHEST = 200.0
"""Median of a depth image from which on its numbers are millimetres: no sensor sees so far."""
_SAMPLES = 64
"""Samples along each axis for that."""
_COMPRESSED_DEPTH_HEADER = struct.Struct("<iff")
"""image_transport's compressedDepth: format, and the parameters A and B of inverse depth."""
_PNG = b"\x89PNG\r\n\x1a\n"


def depth_from_image(
    message: Any, width: int, height: int, notes: list[Note] | None = None
) -> Array:
    """Return (height, width) float32 metres along the optical axis, NaN where unknown.

    `message`: an Image aligned with a picture of `width` x `height`, in 16UC1 or mono16
    (millimetres, 0 where unknown) or 32FC1 (metres, NaN where unknown), or a CompressedImage with a
    PNG of 16 bits, also of image_transport's compressedDepth. Infinite, zero and negative metres
    are unknown, too. Metres in native byte order are a view of the message's data if all unknown
    ones are NaN. 32FC1 in millimetres is converted, with a note in `notes`. Raises ImageError if
    the encoding is another one or sizes differ.
    """
    notes = [] if notes is None else notes
    if not hasattr(message, "encoding"):
        return _from_compressed(message, width, height, notes)
    _check_size(message.width, message.height, width, height)
    encoding = message.encoding.strip().upper()
    if encoding == "32FC1":
        return _known(pixels_of(message, "f4", 1, height)[..., 0], notes)
    if encoding in ("16UC1", "MONO16"):
        return _from_millimetres(pixels_of(message, "u2", 1, height)[..., 0])
    short = message.encoding.isprintable() and len(message.encoding) <= 16
    raise ImageError(
        f"depth encoding {message.encoding}" if short else "unknown depth encoding",
        f"depth image in encoding {quoted(message.encoding)}; REP-118 has 16UC1 (millimetres) and "
        "32FC1 (metres)",
    )


def _from_compressed(message: Any, width: int, height: int, notes: list[Note]) -> Array:
    data, kind = bytes(message.data), message.format
    begin = (
        _COMPRESSED_DEPTH_HEADER.size if data[_COMPRESSED_DEPTH_HEADER.size :][:8] == _PNG else 0
    )
    header = picture_header(data[begin:])
    if header is None or (header.format, header.bits) != ("PNG", 16):
        raise ImageError(
            "compressed depth",
            f"compressed depth of {len(data)} bytes (format {quoted(kind)}) is no PNG of 16 bits: "
            "set the publisher's compressedDepth format to png",
        )
    _check_size(header.width, header.height, width, height)
    try:
        numbers: Pixels | None = cv2.imdecode(
            np.frombuffer(data, np.uint8, offset=begin), cv2.IMREAD_UNCHANGED
        )
    except cv2.error:
        numbers = None
    if numbers is None or numbers.shape != (height, width):
        raise ImageError("compressed depth", f"compressed depth of {len(data)} bytes is corrupt")
    if begin and kind.strip().upper().startswith("32FC1"):
        # Inverse depth: metres are A / (number - B).
        _, a, b = _COMPRESSED_DEPTH_HEADER.unpack_from(data)
        with np.errstate(divide="ignore", invalid="ignore"):
            metres = (np.float32(a) / (numbers.astype(np.float32) - np.float32(b))).astype("f4")
        metres[numbers == 0] = np.nan
        return _known(metres, notes)
    return _from_millimetres(numbers)


def _known(metres: Array, notes: list[Note]) -> Array:
    """Metres with NaN where they are not positive and finite, converted from millimetres."""
    # fmin and fmax ignore NaN.
    nearest, furthest = np.fmin.reduce(metres, axis=None), np.fmax.reduce(metres, axis=None)
    if nearest <= 0.0 or furthest == np.inf:
        metres = np.where((metres > 0.0) & (metres < np.inf), metres, np.float32(np.nan))
    if furthest > _FURTHEST:
        height, width = metres.shape
        samples = metres[:: max(height // _SAMPLES, 1), :: max(width // _SAMPLES, 1)]
        known = samples[np.isfinite(samples)]
        if known.size and (median := float(np.median(known))) > _FURTHEST:
            text = (
                f"depth in 32FC1 has a median of {median:g}, so these are millimetres, not metres, "
                "and are converted"
            )
            notes.append(Note("depth in millimetres", text, "let the driver follow REP-118"))
            return metres / np.float32(1e3)
    return metres


def _from_millimetres(millimetres: Pixels) -> Array:
    return np.where(millimetres > 0, millimetres / np.float32(1e3), np.float32(np.nan))


def _check_size(has_width: int, has_height: int, width: int, height: int) -> None:
    if (has_width, has_height) != (width, height):
        raise ImageError(
            "depth size",
            f"depth image of {has_width} x {has_height} pixels for a picture of {width} x "
            f"{height}: it must be aligned with the picture, as depth_image_proc's register does",
        )
