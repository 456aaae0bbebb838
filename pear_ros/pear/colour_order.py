# SPDX-License-Identifier: Apache-2.0
"""Detection of the colour order, RGB or BGR, that a network was trained on.

PEAR was trained on RGB images, but one of the original's demos feeds BGR, and a checkpoint does not
contain the order. So three bundled people are inferred in both orders: the right one has the
smaller reprojection error of their annotated joints.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pear_ros.core.people import SMPLX_JOINT_NAMES, Array
from pear_ros.pear.body import PearBody, body_joints, body_parameters
from pear_ros.pear.crop import INPUT_SIZE, Crops
from pear_ros.pear.placement import image_points
from pear_ros.pear.prediction import Prediction
from pear_ros.pear.runtimes.reference_crops import bundled_crops

MARGIN = 1.0
"""Pixels of the crop by which the error of BGR must be smaller before a warning."""

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
"""Pixels of joints in those bundled crops that have colour, by crop; by hand, to about 3 pixels."""


class ColourOrder(NamedTuple):
    """Mean reprojection error of the annotated joints in either order, pixels of the crop (256)."""

    rgb: float
    bgr: float

    @property
    def is_bgr(self) -> bool:
        """Whether the error of BGR is smaller by more than MARGIN; false where one is NaN."""
        return self.bgr < self.rgb - MARGIN


def compare_orders(infer: Callable[[Crops], Array], body: PearBody) -> ColourOrder:
    """Return the network's reprojection error on bundled people in both colour orders.

    `infer` returns (B, VECTOR_SIZE) for BGR crops (B, 256, 256, 3), which it converts to RGB as
    those of any image; `body`: EHM-s on NumPy. An error is NaN where an output is not finite.
    """
    crops = bundled_crops()[list(_ANNOTATED)]
    swapped = np.ascontiguousarray(crops[..., ::-1])
    return ColourOrder(_error(infer(crops), body), _error(infer(swapped), body))


def _error(vectors: Array, body: PearBody) -> float:
    if not np.isfinite(vectors).all():
        return float("nan")
    people = Prediction.from_vectors(vectors)
    whole = np.tile([0.0, 0.0, float(INPUT_SIZE)], (len(vectors), 1))
    pixels = image_points(body_joints(body, body_parameters(body, people)), people.camera, whole)
    distances = [
        np.hypot(*(found[SMPLX_JOINT_NAMES.index(name)] - place))
        for found, places in zip(pixels, _ANNOTATED.values(), strict=True)
        for name, place in places.items()
    ]
    return float(np.mean(distances))
