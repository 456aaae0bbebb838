# SPDX-License-Identifier: Apache-2.0
"""The last images of a camera, undecoded, until the results of one of them arrive."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from pear_ros.core.people import Image
from pear_ros.core.timestamps import nanoseconds_of
from pear_ros.ros.conversion.images import ImageError, bgr_from_compressed, bgr_from_image

_MAX_BYTES = 96 * 1024 * 1024
_MAX_IMAGES = 90


class ImageRing:
    """Messages by stamp; the oldest go first."""

    def __init__(self) -> None:
        """Begin without images."""
        self._messages: OrderedDict[int, Any] = OrderedDict()
        self._bytes = 0

    def add(self, message: Any) -> None:
        """Keep a sensor_msgs/Image or CompressedImage."""
        stamp = nanoseconds_of(message.header)
        if stamp in self._messages:
            self._bytes -= len(self._messages.pop(stamp).data)
        self._messages[stamp] = message
        self._bytes += len(message.data)
        while len(self._messages) > _MAX_IMAGES or self._bytes > _MAX_BYTES:
            self._bytes -= len(self._messages.popitem(last=False)[1].data)

    def take(self, stamp: int) -> Image | None:
        """Return the picture of a stamp, BGR; None where it is not there, or damaged.

        Older ones are dropped: results arrive in order.
        """
        message = self._messages.get(stamp)
        if message is None:
            return None
        while next(iter(self._messages)) != stamp:
            self._bytes -= len(self._messages.popitem(last=False)[1].data)
        try:
            if hasattr(message, "format"):
                return bgr_from_compressed(message)
            return bgr_from_image(message)
        except ImageError:
            return None

    def clear(self) -> None:
        """Drop all images."""
        self._messages.clear()
        self._bytes = 0
