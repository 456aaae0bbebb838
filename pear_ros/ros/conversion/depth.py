# SPDX-License-Identifier: Apache-2.0
"""Conversion of depth images (REP-118) to metres, NaN where unknown."""

from __future__ import annotations

from typing import Any

import numpy as np

from pear_ros.core.people import Array
from pear_ros.ros.conversion.pixels import ImageError, pixels_of


def depth_from_image(message: Any, width: int, height: int) -> Array:
    """Return (height, width) float32 metres along the optical axis, NaN where unknown.

    `message`: an Image aligned with a picture of `width` x `height`, in 16UC1 or mono16
    (millimetres, 0 where unknown) or 32FC1 (metres, NaN where unknown). Infinite, zero and negative
    metres are unknown, too. Metres in native byte order are a view of the message's data if all
    unknown ones are NaN. Raises ImageError if the encoding is another one or sizes differ.
    """
    if (message.width, message.height) != (width, height):
        raise ImageError(
            "depth size",
            f"depth image of {message.width} x {message.height} pixels for a picture of {width} x "
            f"{height}: it must be aligned with the picture, as depth_image_proc's register does",
        )
    if message.encoding == "32FC1":
        metres: Array = pixels_of(message, "f4", 1, height)[..., 0]
        # fmin and fmax ignore NaN.
        nearest, furthest = np.fmin.reduce(metres, axis=None), np.fmax.reduce(metres, axis=None)
        if nearest <= 0.0 or furthest == np.inf:
            known = (metres > 0.0) & (metres < np.inf)
            return np.where(known, metres, np.float32(np.nan))
        return metres
    if message.encoding in ("16UC1", "mono16"):
        millimetres = pixels_of(message, "u2", 1, height)[..., 0]
        return np.where(millimetres > 0, millimetres / np.float32(1e3), np.float32(np.nan))
    raise ImageError(
        f"depth encoding {message.encoding}",
        f"depth image in encoding {message.encoding!r}; REP-118 has 16UC1 (millimetres) and 32FC1 "
        "(metres)",
    )
