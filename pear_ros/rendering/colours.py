# SPDX-License-Identifier: Apache-2.0
"""Colours: one per track id, the same in overlays and in RViz markers, and of the background."""

from __future__ import annotations

import re
import zlib

_PALETTE = (
    (0.36, 0.60, 0.80),
    (0.91, 0.62, 0.36),
    (0.48, 0.72, 0.47),
    (0.80, 0.48, 0.58),
    (0.60, 0.54, 0.80),
    (0.84, 0.76, 0.40),
    (0.38, 0.72, 0.72),
    (0.74, 0.58, 0.46),
    (0.62, 0.70, 0.36),
    (0.78, 0.56, 0.76),
)
"""RGB, 0 to 1; of similar lightness, neighbours far apart in hue."""

FAINT = 0.4
"""Opacity of a body that was not observed, over that of others."""
PAPER = 246
"""Grey level, 0 to 255, of the background of side views and contact sheets."""


def id_colour(track_id: str) -> tuple[float, float, float]:
    """Return red, green and blue, 0 to 1, of a track id.

    Ids that count up (`person_1`, `person_2`, ...) get neighbouring entries of a palette of ten, so
    that people seen together differ; other ids are hashed. The same id has the same colour in every
    process.
    """
    number = re.search(r"\d+$", track_id)
    index = int(number.group()) if number else zlib.crc32(track_id.encode())
    return _PALETTE[index % len(_PALETTE)]
