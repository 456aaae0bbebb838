# SPDX-License-Identifier: Apache-2.0
"""Whether a network wants red, green and blue, or blue, green and red.

PEAR was trained on RGB pictures, but one of the original's demos feeds BGR. A checkpoint does not
say. So the network sees three bundled people in both orders, and the order in which its joints
project nearer to where they are in the pictures is the better one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pear_ros.body.ehm import EhmBody
from pear_ros.core.people import SMPLX_JOINT_NAMES, Array
from pear_ros.pear.crop import INPUT_SIZE, Crops
from pear_ros.pear.placement import image_points
from pear_ros.pear.prediction import Prediction
from pear_ros.pear.runtimes.reference_crops import bundled_crops

MARGIN = 1.0
"""Pixels of the crop by which BGR has to fit better before it is worth a warning."""

_ANNOTATED: dict[int, dict[str, tuple[float, float]]] = {
    0: {
        **{"left_shoulder": (154, 78), "right_shoulder": (103, 78)},
        **{"left_elbow": (171, 59), "right_elbow": (84, 66)},
        **{"left_wrist": (165, 34), "right_wrist": (82, 24)},
        **{"left_hip": (139, 135), "right_hip": (118, 135)},
        **{"left_knee": (154, 169), "right_knee": (100, 169)},
        **{"left_ankle": (164, 218), "right_ankle": (81, 215)},
    },
    2: {
        **{"left_shoulder": (136, 61), "right_shoulder": (109, 66)},
        **{"left_elbow": (148, 93), "right_elbow": (96, 104)},
        **{"left_wrist": (163, 133), "right_wrist": (73, 121)},
        **{"left_hip": (116, 131), "right_hip": (116, 131)},
        **{"left_knee": (95, 169), "right_knee": (136, 179)},
        **{"left_ankle": (90, 220), "right_ankle": (166, 215)},
    },
    5: {"left_shoulder": (159, 115), "right_shoulder": (51, 115), "right_elbow": (41, 184)},
}
"""Joints of people in colour among the bundled crops, by hand to some 3 pixels, by crop."""


class ColourOrder(NamedTuple):
    """Mean distance of projected joints from the annotated ones, pixels of the crop (256)."""

    rgb: float
    bgr: float

    @property
    def is_bgr(self) -> bool:
        """Whether BGR fits clearly better. Never where a distance is NaN."""
        return self.bgr < self.rgb - MARGIN


def compare_orders(infer: Callable[[Crops], Array], body: EhmBody) -> ColourOrder:
    """The network's error on bundled people in both orders of colours.

    `infer`: (B, VECTOR_SIZE) numbers on BGR crops (B, 256, 256, 3), whose order it turns to RGB as
    for every image; `body`: EHM-s on NumPy. NaN where the network's numbers make no person.
    """
    crops = bundled_crops()[list(_ANNOTATED)]
    swapped = np.ascontiguousarray(crops[..., ::-1])
    return ColourOrder(_error(infer(crops), body), _error(infer(swapped), body))


def _error(vectors: Array, body: EhmBody) -> float:
    """Pixels."""
    if not np.isfinite(vectors).all():
        return float("nan")
    people = Prediction.from_vectors(vectors)
    whole = np.tile([0.0, 0.0, float(INPUT_SIZE)], (len(vectors), 1))
    pixels = image_points(body.joints(people.parameters()), people.camera, whole)
    distances = [
        np.hypot(*(found[SMPLX_JOINT_NAMES.index(name)] - place))
        for found, places in zip(pixels, _ANNOTATED.values(), strict=True)
        for name, place in places.items()
    ]
    return float(np.mean(distances))
