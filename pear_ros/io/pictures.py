# SPDX-License-Identifier: Apache-2.0
"""Reading of pictures: whatever is wrong with a file becomes one short reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2

from pear_ros.core.people import Image
from pear_ros.core.quoting import plain

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
"""Suffixes, in small letters, of the files in a folder that are taken for pictures."""


class PictureError(ValueError):
    """A picture that cannot be used; the text says why, and follows the name of its file."""


def read_picture(path: Path) -> Image:
    """Return the picture (height, width, 3) uint8 BGR of a file. Raises PictureError."""
    try:
        image: Any = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error as error:  # as for a size that OpenCV refuses
        raise PictureError(f"cannot be decoded ({plain(error.err)})") from error
    if image is None:
        raise PictureError(_reason(path))
    return image  # type: ignore[no-any-return]


def _reason(path: Path) -> str:
    """Return why OpenCV, which does not tell, has read nothing."""
    try:
        with path.open("rb"):
            return "cannot be decoded"
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
