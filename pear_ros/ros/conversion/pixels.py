# SPDX-License-Identifier: Apache-2.0
"""The numbers of an image message, and which ones are refused."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from pear_ros.ros.conversion.notes import Note

Pixels = npt.NDArray[Any]

MAX_SIDE = 32_000
"""Pixels along one side that OpenCV's warps can handle, a little less than 2^15."""
_DEPTHS = (8, 10, 12, 14, 16)
"""Bits of sensors whose values are sent in 16 bits."""
_BRIGHTEST = 0.999
"""Share of the pixels from which the number of bits is read: the others may be broken ones."""
_SAMPLES = 128
"""Samples along each axis for that."""


class ImageError(ValueError):
    """An image message that cannot be read; the text says why, `cause` names the kind of fault."""

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause


def pixels_of(message: Any, dtype: str, channels: int, rows: int) -> Pixels:
    """Return the (rows, width, channels) numbers of a sensor_msgs/Image, in native byte order.

    They are a view of the message's data, unless its byte order is the other one. `dtype`: NumPy's
    name without byte order. Raises ImageError when the sizes do not agree.
    """
    width, height, step = message.width, message.height, message.step
    what = f"{width} x {height} image in {message.encoding}"
    if width == 0 or height == 0:
        raise ImageError("empty", f"{what} has no pixels")
    kind = np.dtype(dtype).newbyteorder(">" if message.is_bigendian else "<")
    row_bytes = width * channels * kind.itemsize
    if step < row_bytes:
        raise ImageError("step", f"{what} has rows (step) of {step} bytes, needs {row_bytes}")
    needed = (rows - 1) * step + row_bytes
    data = np.frombuffer(message.data, np.uint8)
    if data.size < needed:
        raise ImageError("truncated", f"{what} needs {needed} bytes but has {data.size}")
    pixels: Pixels = np.ndarray(
        (rows, width, channels),
        kind,
        buffer=data,
        strides=(step, channels * kind.itemsize, kind.itemsize),
    )
    return pixels if kind.isnative else pixels.astype(kind.newbyteorder("="))


def check_size(what: str, width: int, height: int, max_pixels: int) -> None:
    """Raise ImageError for an image of more than `max_pixels`, or longer than MAX_SIDE.

    `what`: what has this size, for the text.
    """
    if width * height > max_pixels:
        raise ImageError(
            "too large",
            f"{what}, {width} x {height} pixels: more than max_pixels = {max_pixels}",
        )
    if max(width, height) > MAX_SIDE:
        raise ImageError(
            "too large",
            f"{what}, {width} x {height} pixels: more than {MAX_SIDE} along a side",
        )


def in_8_bits(pixels: Pixels, notes: list[Note]) -> Pixels:
    """Return 16-bit pixels (height, width, ...) in 8 bits, by the number of bits that they use.

    Sensors of 10, 12 or 14 bits leave the upper ones at zero: nearly black, if those counted.
    """
    height, width = pixels.shape[:2]
    steps = max(height // _SAMPLES, 1), max(width // _SAMPLES, 1)
    samples = pixels[:: steps[0], :: steps[1]].ravel()
    place = int(_BRIGHTEST * (samples.size - 1))
    brightest = int(np.partition(samples, place)[place])
    bits = next(depth for depth in _DEPTHS if brightest < 2**depth)
    if not brightest:
        bits = _DEPTHS[-1]
    if bits < _DEPTHS[-1]:
        text = f"images of 16 bits use {bits} of them (values up to {brightest}) and are brightened"
        notes.append(Note("dark 16 bits", text, "let the driver scale them to 16 bits"))
    return cv2.convertScaleAbs(pixels, alpha=255.0 / (2**bits - 1))
