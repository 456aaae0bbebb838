# SPDX-License-Identifier: Apache-2.0
"""Contact sheet: several pictures as one, in rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from pear_ros.core.people import Image
from pear_ros.rendering.colours import PAPER

_GAP = 4
"""Pixels between tiles."""


def contact_sheet(images: Sequence[Image], columns: int, tile_width: int = 640) -> Image:
    """Return pictures of one size, scaled to `tile_width` pixels and set in rows of `columns`.

    `images` are (height, width, 3) uint8. Raises ValueError when there are no pictures or their
    sizes differ.
    """
    if not images or any(image.shape != images[0].shape for image in images):
        raise ValueError("a contact sheet needs at least one picture, and all of one size")
    tile_height = max(1, round(images[0].shape[0] * tile_width / images[0].shape[1]))
    rows = math.ceil(len(images) / columns)
    height, width = rows * (tile_height + _GAP) - _GAP, columns * (tile_width + _GAP) - _GAP
    sheet = np.full((height, width, 3), PAPER, np.uint8)
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        y, x = row * (tile_height + _GAP), column * (tile_width + _GAP)
        tile = cv2.resize(image, (tile_width, tile_height), interpolation=cv2.INTER_AREA)
        sheet[y : y + tile_height, x : x + tile_width] = tile
    return sheet
