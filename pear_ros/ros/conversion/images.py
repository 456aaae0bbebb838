# SPDX-License-Identifier: Apache-2.0
"""Conversion of sensor_msgs Image and CompressedImage to BGR pictures.

Colours are converted by cv_bridge if an installed ROS 2 has one that works, else by OpenCV. This
module has the meaning of the encoding names (sensor_msgs/image_encodings.hpp), the memory layout
and the checks: camera drivers pad rows, send 16 bit in either byte order and sometimes half a
picture.

Messages are read by their fields, so those of rclpy and of the `rosbags` package both serve.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from pear_ros.core.people import Image

Pixels = npt.NDArray[Any]


class ImageError(ValueError):
    """An image message that cannot be read; the text says why, `cause` names the kind of fault."""

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause


class _Encoding(NamedTuple):
    dtype: str
    channels: int
    to_bgr: Callable[[Pixels], Pixels]
    even_width: bool = False
    planar: bool = False
    """Whether height / 2 rows of chroma follow the rows of luma."""


def _converted(code: int) -> Callable[[Pixels], Pixels]:
    return lambda pixels: cv2.cvtColor(pixels, code)


def _same(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels)


# OpenCV names a Bayer pattern by the second and third pixel of the second row, ROS by the first
# two of the first row.
_BAYER = {
    "rggb": cv2.COLOR_BayerBG2BGR,
    "bggr": cv2.COLOR_BayerRG2BGR,
    "gbrg": cv2.COLOR_BayerGR2BGR,
    "grbg": cv2.COLOR_BayerGB2BGR,
}

_UYVY = _Encoding("u1", 2, _converted(cv2.COLOR_YUV2BGR_UYVY), even_width=True)
_YUYV = _Encoding("u1", 2, _converted(cv2.COLOR_YUV2BGR_YUYV), even_width=True)

_ENCODINGS: dict[str, _Encoding] = {
    "bgr8": _Encoding("u1", 3, _same),
    "rgb8": _Encoding("u1", 3, _converted(cv2.COLOR_RGB2BGR)),
    "bgra8": _Encoding("u1", 4, _converted(cv2.COLOR_BGRA2BGR)),
    "rgba8": _Encoding("u1", 4, _converted(cv2.COLOR_RGBA2BGR)),
    "mono8": _Encoding("u1", 1, _converted(cv2.COLOR_GRAY2BGR)),
    "bgr16": _Encoding("u2", 3, _same),
    "rgb16": _Encoding("u2", 3, _converted(cv2.COLOR_RGB2BGR)),
    "mono16": _Encoding("u2", 1, _converted(cv2.COLOR_GRAY2BGR)),
    **{f"bayer_{name}8": _Encoding("u1", 1, _converted(code)) for name, code in _BAYER.items()},
    **{f"bayer_{name}16": _Encoding("u2", 1, _converted(code)) for name, code in _BAYER.items()},
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": _Encoding("u1", 1, _converted(cv2.COLOR_YUV2BGR_NV12), even_width=True, planar=True),
    "nv21": _Encoding("u1", 1, _converted(cv2.COLOR_YUV2BGR_NV21), even_width=True, planar=True),
}

ENCODINGS = tuple(_ENCODINGS)
"""Encodings of sensor_msgs/Image that can be read."""

# bgr8 is not among them, as it needs no conversion; nor are 16 bit, which cv_bridge cuts off, and
# what its older versions do not support.
_BRIDGED = frozenset(
    ("rgb8", "bgra8", "rgba8", "mono8", "yuv422", "yuv422_yuy2", *(f"bayer_{n}8" for n in _BAYER))
)


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


def bgr_from_image(message: Any) -> Image:
    """Return the picture (height, width, 3) uint8 BGR of a sensor_msgs/Image.

    Unpadded bgr8 is a view of the message's data, not a copy. 16 bit is scaled so that 65535 is
    white. Raises ImageError when the encoding is not one of ENCODINGS, the sizes do not agree, or
    OpenCV cannot convert it.
    """
    name, width, height = message.encoding, message.width, message.height
    encoding = _ENCODINGS.get(name)
    if encoding is None:
        raise ImageError(
            f"encoding {name}", f"encoding {name!r} is not supported; use {', '.join(ENCODINGS)}"
        )
    if (encoding.even_width and width % 2) or (encoding.planar and height % 2):
        raise ImageError(
            "odd size", f"{width} x {height} image in {name}: this encoding needs an even size"
        )
    rows = height * 3 // 2 if encoding.planar else height
    pixels = pixels_of(message, encoding.dtype, encoding.channels, rows)

    # Some versions of cv_bridge take padded rows for pixels.
    padded = message.step != width * encoding.channels * pixels.itemsize
    bridge = cv_bridge() if name in _BRIDGED and not padded else None
    if bridge is not None:
        converted: Image = bridge.imgmsg_to_cv2(message, "bgr8")
        return converted
    if pixels.itemsize == 2:
        pixels = cv2.convertScaleAbs(pixels, alpha=255.0 / 65535.0)
    try:
        return encoding.to_bgr(pixels)
    except cv2.error as error:  # as OpenCV 4.5 on a single pixel in rgb8
        raise ImageError(
            "conversion",
            f"{width} x {height} image in {name} cannot be converted by OpenCV {cv2.__version__}: "
            f"{error.err}",
        ) from error


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


def bgr_from_compressed(message: Any) -> Image:
    """Return the picture (height, width, 3) uint8 BGR of a sensor_msgs/CompressedImage (JPEG, PNG).

    An EXIF orientation is ignored, since CameraInfo refers to the sensor's rows and columns.
    Raises ImageError when the data are empty, cut short or not a picture.
    """
    data = bytes(message.data)
    what = f"compressed image of {len(data)} bytes (format {message.format!r})"
    # Some versions of OpenCV fill a truncated JPEG with grey and report nothing. The end marker
    # cannot occur inside a scan, so a complete JPEG has one after its last start of scan.
    if data.startswith(b"\xff\xd8") and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        raise ImageError("truncated", f"{what} ends before its picture does")
    picture: Pixels | None = None
    if data:
        try:
            picture = cv2.imdecode(
                np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
            )
        except cv2.error as error:
            raise ImageError("corrupt", f"{what} cannot be read: {error.err}") from error
    if picture is None:
        raise ImageError("corrupt", f"{what} cannot be read as JPEG or PNG: empty or corrupt")
    return picture
