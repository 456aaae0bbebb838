# SPDX-License-Identifier: Apache-2.0
"""The camera's images that results are of, as encoded pictures with their stamps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from pear_ros.bags.bag import Bag
from pear_ros.core.log import get_logger
from pear_ros.core.people import Image
from pear_ros.core.timestamps import nanoseconds_of
from pear_ros.io.video import FrameSource
from pear_ros.ros.conversion.images import bgr_from_compressed, bgr_from_image
from pear_ros.ros.conversion.picture_header import picture_header
from pear_ros.ros.topics import COMPRESSED_IMAGE_TYPE

_logger = get_logger(__name__)

_QUALITY = 85
"""Of JPEG, 0 to 100."""
_JPEG = "image/jpeg"


@dataclass(frozen=True)
class Picture:
    """An encoded image."""

    stamp_ns: int
    """Time at which it was taken, nanoseconds."""
    media_type: str
    data: bytes


def pictures_of_video(path: Path) -> Iterator[Picture]:
    """Yield the frames of a video or an image file as JPEG, with stamps since the first.

    Raises VideoError where the file cannot be read.
    """
    for seconds, image in FrameSource(str(path)):
        yield Picture(round(1e9 * seconds), _JPEG, _encoded(image))


def pictures_of_bag(bag: Bag, topic: str) -> Iterator[Picture]:
    """Yield the images on a topic of Image or CompressedImage; JPEGs as they were recorded.

    Images that cannot be read are left out, which a warning says.
    """
    compressed = bag.topics[topic].type == COMPRESSED_IMAGE_TYPE
    reasons: list[str] = []
    for recorded in bag.messages([topic]):
        try:
            message = bag.deserialize(recorded)
            data = _jpeg_of(message) if compressed else _encoded(bgr_from_image(message))
        except Exception as error:  # What a corrupt message raises depends on the damage.
            reasons.append(f"{type(error).__name__}: {error}")
            continue
        yield Picture(nanoseconds_of(message.header), _JPEG, data)
    if reasons:
        _logger.warning(
            "%s: %d images on %s cannot be read, and are left out (%s)",
            *(bag.path, len(reasons), topic, reasons[0]),
        )


def _jpeg_of(message: Any) -> bytes:
    """Return a CompressedImage as JPEG: its data if it is one whose colours need no conversion."""
    data = bytes(message.data)
    header = picture_header(data)
    encoding, _, packed = message.format.partition(";")
    converted = "bayer" in encoding or "rgb8" in packed
    if header is not None and header.format == "JPEG" and not converted:
        return data
    return _encoded(bgr_from_compressed(message))


def _encoded(image: Image) -> bytes:
    return bytes(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1])
