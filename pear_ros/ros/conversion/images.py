# SPDX-License-Identifier: Apache-2.0
"""Conversion of sensor_msgs Image and CompressedImage to BGR pictures.

Colours are converted by cv_bridge if an installed ROS 2 has one that works, else by OpenCV. Memory
layout and sizes are checked: camera drivers pad rows, send 16 bit in either byte order and
sometimes half a picture.

Messages are read by their fields, so those of rclpy and of the `rosbags` package both serve.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np

from pear_ros.core.device_image import DeviceImage, on_cpu
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import Image
from pear_ros.core.quoting import quoted
from pear_ros.ros.conversion.compressed_pictures import DecodeJpeg, decoded
from pear_ros.ros.conversion.encodings import BAYER, BY_NAME, ENCODINGS, encoding_name
from pear_ros.ros.conversion.notes import Note
from pear_ros.ros.conversion.picture_header import picture_header
from pear_ros.ros.conversion.pixels import ImageError, Pixels, check_size, in_8_bits, pixels_of

__all__ = [
    "ENCODINGS",
    "ImageError",
    "bgr_from_compressed",
    "bgr_from_image",
    "cv_bridge",
    "image_from_compressed",
]

# bgr8 is not among them, as it needs no conversion; nor are 16 bit, which cv_bridge cuts off, and
# what its older versions do not support.
_BRIDGED = frozenset(
    ("rgb8", "bgra8", "rgba8", "mono8", "yuv422", "yuv422_yuy2", *(f"bayer_{n}8" for n in BAYER))
)

_LONGEST = 16
"""Characters of the name of an encoding; longer ones are none."""


@cache
def cv_bridge() -> Any | None:
    """Return cv_bridge.CvBridge of an installed ROS 2; None if it is missing or does not work.

    One built for NumPy 1 can be imported beside NumPy 2, but fails when it is used.
    """
    try:
        from cv_bridge import CvBridge
        from sensor_msgs.msg import Image as ImageMessage

        bridge = CvBridge()
        black = ImageMessage(height=2, width=2, encoding="rgb8", step=6, data=bytes(12))
        bridge.imgmsg_to_cv2(black, "bgr8")
    except Exception:
        return None
    return bridge


def bgr_from_image(
    message: Any,
    max_pixels: int = Parameters.max_pixels,
    notes: list[Note] | None = None,
) -> Image:
    """Return the picture (height, width, 3) uint8 BGR of a sensor_msgs/Image.

    Unpadded bgr8 is a view of the message's data, not a copy. 16 bit is scaled so that the greatest
    number of the bits that the image uses (8, 10, 12, 14 or 16) is white. `notes` gets notes about
    an image that uses fewer than 16, and about an encoding of another name. Raises ImageError when
    the encoding cannot be read, the sizes do not agree, there are more than `max_pixels`, or OpenCV
    cannot convert it.
    """
    notes = [] if notes is None else notes
    name, width, height = encoding_name(message.encoding), message.width, message.height
    if not name:
        short = message.encoding.isprintable() and len(message.encoding) <= _LONGEST
        raise ImageError(
            f"encoding {message.encoding}" if short else "unknown encoding",
            f"encoding {quoted(message.encoding)} is not supported; use {', '.join(ENCODINGS)}",
        )
    encoding = BY_NAME[name]
    if (encoding.even_width and width % 2) or (encoding.planar and height % 2):
        raise ImageError(
            "odd size", f"{width} x {height} image in {name}: this encoding needs an even size"
        )
    rows = height * 3 // 2 if encoding.planar else height
    pixels = pixels_of(message, encoding.dtype, encoding.channels, rows)
    check_size(f"image in {name}", width, height, max_pixels)
    if name != message.encoding:
        text = f"encoding {quoted(message.encoding)} is taken for {name}"
        notes.append(Note(f"taken for {name}", text, "let the driver use ROS's name"))
        bridge = None
    else:
        # Some versions of cv_bridge take padded rows for pixels.
        padded = message.step != width * encoding.channels * pixels.itemsize
        bridge = cv_bridge() if name in _BRIDGED and not padded else None
    if bridge is not None:
        converted: Image = bridge.imgmsg_to_cv2(message, "bgr8")
        return converted
    if pixels.itemsize == 2:
        pixels = in_8_bits(pixels, notes)
    try:
        return encoding.to_bgr(pixels)
    except cv2.error as error:  # as OpenCV 4.5 on a single pixel in rgb8
        raise ImageError(
            "conversion",
            f"{width} x {height} image in {name} cannot be converted by OpenCV {cv2.__version__}: "
            f"{error.err}",
        ) from error


def bgr_from_compressed(
    message: Any,
    max_pixels: int = Parameters.max_pixels,
    notes: list[Note] | None = None,
    decode_jpeg: DecodeJpeg | None = None,
) -> Image:
    """Return the picture (height, width, 3) uint8 BGR of a sensor_msgs/CompressedImage, on the CPU.

    Arguments and errors as of `image_from_compressed`.
    """
    return on_cpu(image_from_compressed(message, max_pixels, notes, decode_jpeg))


def image_from_compressed(
    message: Any,
    max_pixels: int = Parameters.max_pixels,
    notes: list[Note] | None = None,
    decode_jpeg: DecodeJpeg | None = None,
) -> Image | DeviceImage:
    """Return the picture (height, width, 3) uint8 BGR of a sensor_msgs/CompressedImage.

    JPEG, PNG, WebP, BMP and TIFF are read. As image_transport does, `format` is minded: "compressed
    rgb8" has red and blue swapped, and a grey picture of "bayer_..." is a mosaic. An EXIF
    orientation is ignored, since CameraInfo refers to the sensor's rows and columns. `notes` gets
    notes about a picture of 16 bits that uses fewer, and one without its end marker. `decode_jpeg`:
    decoder of whole colour JPEGs, such as GpuJpegDecoder, whose DeviceImage is returned as it is
    unless colours have to be swapped; None: OpenCV.

    Raises ImageError when the data are empty, cut short or not a picture, or it has more than
    `max_pixels`, which is checked before anything is decoded.
    """
    notes = [] if notes is None else notes
    data = bytes(message.data)
    what = f"compressed image of {len(data)} bytes (format {quoted(message.format)})"
    header = picture_header(data)
    if header is None:
        reason = "not JPEG, PNG, WebP, BMP or TIFF" if data else "it is empty"
        raise ImageError("corrupt", f"{what} cannot be read: {reason}, or corrupt")
    check_size(what, header.width, header.height, max_pixels)
    encoding, _, packed = message.format.partition(";")
    bayer = _bayer(encoding, packed)
    flags = cv2.IMREAD_GRAYSCALE if bayer else cv2.IMREAD_COLOR
    if header.bits == 16:
        flags |= cv2.IMREAD_ANYDEPTH
    flags |= cv2.IMREAD_IGNORE_ORIENTATION
    swapped = not bayer and "compressed rgb" in packed
    found = decoded(data, header, flags, what, notes, decode_jpeg)
    if isinstance(found, DeviceImage) and not swapped:
        return found
    picture: Pixels = on_cpu(found)
    if picture.dtype == np.uint16:
        picture = in_8_bits(picture, notes)
    if bayer:
        picture = cv2.cvtColor(picture, bayer)
    elif swapped:
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return picture


def _bayer(encoding: str, packed: str) -> int:
    """OpenCV's code for the mosaic in a compressed picture; 0 if it has colours."""
    name = encoding_name(encoding)
    colours = "bgr" in packed or "rgb" in packed
    return BAYER[name[len("bayer_") :][:4]] if name.startswith("bayer_") and not colours else 0
