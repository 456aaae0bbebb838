# SPDX-License-Identifier: Apache-2.0
"""Decoding of compressed pictures by OpenCV, whole ones alone."""

from __future__ import annotations

import cv2
import numpy as np

from pear_ros.ros.conversion.notes import Note
from pear_ros.ros.conversion.picture_header import (
    END_OF_JPEG,
    PictureHeader,
    has_too_many_scans,
    jpeg_end,
)
from pear_ros.ros.conversion.pixels import ImageError, Pixels


def decoded(data: bytes, header: PictureHeader, flags: int, what: str, notes: list[Note]) -> Pixels:
    if header.format.endswith("JPEG") and not data.endswith(END_OF_JPEG):
        end = jpeg_end(data)
        if not end:
            return _without_end(data, flags, what, notes)
        data = data[:end]
    if header.format == "progressive JPEG" and has_too_many_scans(data):
        raise ImageError("corrupt", f"{what} has more scans than an encoder makes")
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
