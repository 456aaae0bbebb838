# SPDX-License-Identifier: Apache-2.0
"""Facial action units (FACS, Ekman and Friesen, 1978) from named expression coefficients.

The coefficients are those of the open body, 0 to 1, named as ARKit's blend shapes, which were drawn
after action units. Only units whose coefficients are fitted to face landmarks are given: cheeks
(6), dimples (14), chin (17), stretched, pressed and sucked lips (20, 24, 28), the tongue (19) and
all that needs time, such as blinks and speech, remain unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pear_ros.core.people import Array

NUM_UNITS = 99
"""Length of the arrays of hri_msgs/FacialActionUnits; indices are the units' numbers."""

COEFFICIENTS: Mapping[int, tuple[str, ...]] = {
    1: ("browInnerUp",),
    2: ("browOuterUpLeft", "browOuterUpRight"),
    4: ("browDownLeft", "browDownRight"),
    5: ("eyeWideLeft", "eyeWideRight"),
    7: ("eyeSquintLeft", "eyeSquintRight"),
    9: ("noseSneerLeft", "noseSneerRight"),
    10: ("mouthUpperUpLeft", "mouthUpperUpRight"),
    12: ("mouthSmileLeft", "mouthSmileRight"),
    15: ("mouthFrownLeft", "mouthFrownRight"),
    16: ("mouthLowerDownLeft", "mouthLowerDownRight"),
    18: ("mouthPucker",),
    22: ("mouthFunnel",),
    34: ("cheekPuff",),
}
"""Coefficients of each action unit; it is as intense as the stronger side."""
EYES_CLOSED, WINK, JAW_DROP = 43, 46, 26
_EYELIDS = ("eyeBlinkLeft", "eyeBlinkRight")
_OPEN_JAW = 0.5
"""Rotation of the jaw of a mouth that is wide open, radians."""


def action_units(names: Sequence[str], expression: Array, jaw: float) -> Array:
    """Return the intensity (99,) of each action unit, 0 to 1; NaN: unknown.

    `names`: of the `expression` coefficients, from BodyModelInfo.expression_names; `jaw`: rotation
    of the jaw about its hinge, radians. Raises KeyError if a coefficient has no name: such a body
    has no action units.
    """
    value = dict(zip(names, expression.tolist(), strict=True))
    units = np.full(NUM_UNITS, np.nan, np.float32)
    for unit, coefficients in COEFFICIENTS.items():
        units[unit] = max(value[name] for name in coefficients)
    eyelids = [value[name] for name in _EYELIDS]
    units[EYES_CLOSED] = min(eyelids)
    units[WINK] = max(eyelids) - min(eyelids)
    units[JAW_DROP] = min(max(jaw / _OPEN_JAW, 0.0), 1.0)
    return np.clip(units, 0.0, 1.0)


def has_action_units(names: Sequence[str]) -> bool:
    """Return whether expression coefficients of these names tell action units."""
    needed = {name for coefficients in COEFFICIENTS.values() for name in coefficients}
    return needed.union(_EYELIDS) <= set(names)
