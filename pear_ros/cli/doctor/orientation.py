# SPDX-License-Identifier: Apache-2.0
"""Whether people in an image are upright, by the built-in detector."""

from __future__ import annotations

from pear_ros.core.people import Image
from pear_ros.core.upright import turned

_CERTAIN = 0.5
"""Score of a person from which on the image is taken for one that shows people so."""
_ADVANTAGE = 0.15
"""By how much the score in a turned image has to be higher."""


def turn_to_upright(image: Image) -> int:
    """Return the degrees clockwise that make people in the image (height, width, 3) upright.

    0 where they are, where nobody is found, and where the detector's file is missing.
    """
    from pear_ros.detection.nanodet import NanoDet
    from pear_ros.io.downloads import AssetError

    try:
        detect = NanoDet()
    except AssetError:
        return 0
    scores = {
        degrees: max((one.score for one in detect(_at(image, degrees))), default=0.0)
        for degrees in (0, 90, 180, 270)
    }
    best = max(scores, key=scores.__getitem__)
    better = scores[best] >= max(_CERTAIN, scores[0] + _ADVANTAGE)
    return best if better else 0


def _at(image: Image, degrees: int) -> Image:
    return turned(image, degrees) if degrees else image
