# SPDX-License-Identifier: Apache-2.0
"""The meaning of the names of encodings (sensor_msgs/image_encodings.hpp)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from pear_ros.ros.conversion.pixels import Pixels


class Encoding(NamedTuple):
    """The memory layout of an image, and the conversion of its numbers to BGR."""

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
BAYER = {
    "rggb": cv2.COLOR_BayerBG2BGR,
    "bggr": cv2.COLOR_BayerRG2BGR,
    "gbrg": cv2.COLOR_BayerGR2BGR,
    "grbg": cv2.COLOR_BayerGB2BGR,
}
"""OpenCV's codes of mosaics, by ROS's names."""

_UYVY = Encoding("u1", 2, _converted(cv2.COLOR_YUV2BGR_UYVY), even_width=True)
_YUYV = Encoding("u1", 2, _converted(cv2.COLOR_YUV2BGR_YUYV), even_width=True)

BY_NAME: dict[str, Encoding] = {
    "bgr8": Encoding("u1", 3, _same),
    "rgb8": Encoding("u1", 3, _converted(cv2.COLOR_RGB2BGR)),
    "bgra8": Encoding("u1", 4, _converted(cv2.COLOR_BGRA2BGR)),
    "rgba8": Encoding("u1", 4, _converted(cv2.COLOR_RGBA2BGR)),
    "mono8": Encoding("u1", 1, _converted(cv2.COLOR_GRAY2BGR)),
    "bgr16": Encoding("u2", 3, _same),
    "rgb16": Encoding("u2", 3, _converted(cv2.COLOR_RGB2BGR)),
    "bgra16": Encoding("u2", 4, _converted(cv2.COLOR_BGRA2BGR)),
    "rgba16": Encoding("u2", 4, _converted(cv2.COLOR_RGBA2BGR)),
    "mono16": Encoding("u2", 1, _converted(cv2.COLOR_GRAY2BGR)),
    **{f"bayer_{name}8": Encoding("u1", 1, _converted(code)) for name, code in BAYER.items()},
    **{f"bayer_{name}16": Encoding("u2", 1, _converted(code)) for name, code in BAYER.items()},
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": Encoding("u1", 1, _converted(cv2.COLOR_YUV2BGR_NV12), even_width=True, planar=True),
    "nv21": Encoding("u1", 1, _converted(cv2.COLOR_YUV2BGR_NV21), even_width=True, planar=True),
}

ENCODINGS = tuple(BY_NAME)
"""Encodings of sensor_msgs/Image that can be read."""
ALIASES = {
    "8uc1": "mono8",
    "8uc3": "bgr8",
    "8uc4": "bgra8",
    "bgr": "bgr8",
    "rgb": "rgb8",
    "bgra": "bgra8",
    "rgba": "rgba8",
    "mono": "mono8",
    "gray": "mono8",
    "grey": "mono8",
    "gray8": "mono8",
    "y8": "mono8",
    "y16": "mono16",
    "yuy2": "yuyv",
}
"""Other names of encodings, in lower case. OpenCV's say how many channels there are, and not which:
its order is blue, green, red."""


def encoding_name(name: str) -> str:
    """Return ENCODINGS' name of an encoding; empty if it cannot be read.

    Capitals, spaces and ALIASES do not matter.
    """
    plain = name.strip().lower()
    plain = ALIASES.get(plain, plain)
    return plain if plain in BY_NAME else ""
