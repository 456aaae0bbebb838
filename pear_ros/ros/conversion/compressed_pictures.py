# SPDX-License-Identifier: Apache-2.0
"""Decoding of compressed pictures by OpenCV, whole ones alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np

from pear_ros.core.device_image import DeviceImage
from pear_ros.ros.conversion.notes import Note
from pear_ros.ros.conversion.picture_header import (
    END_OF_JPEG,
    PictureHeader,
    has_too_many_scans,
    jpeg_end,
)
from pear_ros.ros.conversion.pixels import ImageError, Pixels

DecodeJpeg: TypeAlias = Callable[[bytes], "Pixels | DeviceImage | None"]
"""Decodes a whole JPEG to (height, width, 3) uint8 BGR; None: it cannot, and OpenCV shall."""

_COLOUR = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION


def decoded(
    data: bytes,
    header: PictureHeader,
    flags: int,
    what: str,
    notes: list[Note],
    decode_jpeg: DecodeJpeg | None = None,
) -> Pixels | DeviceImage:
    """Return the pixels of the compressed picture `data` with this `header`.

    `flags`: of OpenCV's imdecode; `what`: the picture, for messages; `notes` gets notes about it;
    `decode_jpeg`: tried first for whole baseline JPEGs in colour, and its DeviceImage is returned
    as it is. Raises ImageError for pictures that are corrupt or cut short.
    """
    if header.format.endswith("JPEG") and not data.endswith(END_OF_JPEG):
        end = jpeg_end(data)
        if not end:
            return _without_end(data, flags, what, notes)
        data = data[:end]
    if header.format == "progressive JPEG" and has_too_many_scans(data):
        raise ImageError("corrupt", f"{what} has more scans than an encoder makes")
    if decode_jpeg is not None and header.format == "JPEG" and flags == _COLOUR:
        picture = decode_jpeg(data)
        if picture is not None and picture.shape[:2] == (header.height, header.width):
            return picture
    return _imdecode(data, flags, what)


def _without_end(data: bytes, flags: int, what: str, notes: list[Note]) -> Pixels:
    """Decode a JPEG without its end marker. Raises ImageError if more than the marker is missing.

    Some decoders fill what is missing with grey and report nothing. But bytes that are appended to
    a whole picture change nothing, as the decoder needs no more; those appended to a part do.
    """
    if has_too_many_scans(data):
        raise ImageError("corrupt", f"{what} has more scans than an encoder makes")
    whole = data.rstrip(b"\xff")
    picture = _imdecode(whole + END_OF_JPEG, flags, what)
    others = _imdecode(whole + b"\x5a\xa5\x3c\x96" * 64 + END_OF_JPEG, flags, what)
    if not np.array_equal(picture, others):
        raise ImageError("truncated", f"{what} ends before its picture does")
    text = f"{what} has no end marker, but its picture is whole"
    notes.append(Note("no end marker", text, "let its writer complete JPEGs"))
    return picture


def _imdecode(data: bytes, flags: int, what: str) -> Pixels:
    try:
        picture: Pixels | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageError("corrupt", f"{what} cannot be read: {error.err}") from error
    if picture is None:
        raise ImageError("corrupt", f"{what} cannot be read: corrupt")
    return picture
