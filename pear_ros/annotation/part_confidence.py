# SPDX-License-Identifier: Apache-2.0
"""Confidence of the parts of one person, as the modules give it, before the checks."""

from __future__ import annotations

import numpy as np

from pear_ros.annotation.fit import Evidence
from pear_ros.annotation.sample import AnnotatedPerson
from pear_ros.annotation.silhouette import inside_image
from pear_ros.annotation.wholebody import BODY
from pear_ros.core.people import SMPLX_JOINT_NAMES, Array
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS

JOINTS_OF_PART = {
    "body": slice(0, NUM_BODY_JOINTS),
    "face": slice(SMPLX_JOINT_NAMES.index("jaw"), SMPLX_JOINT_NAMES.index("left_index1")),
    "left_hand": slice(SMPLX_JOINT_NAMES.index("left_index1"), 40),
    "right_hand": slice(40, 55),
}
"""Joints of SMPL-X whose confidence is that of a part."""


def part_confidence(person: AnnotatedPerson, evidence: Evidence) -> dict[str, float]:
    """Return the confidence of each part, 0 to 1.

    Body, hands and face: mean of their joints', 1 where a user gave the body without confidence.
    Points: mean of the 17 of the body. Mask: how far its pixels are from undecided, on average.
    """
    confidence = {
        part: _mean(person.joint_confidence[joints], unknown=1.0)
        for part, joints in JOINTS_OF_PART.items()
    }
    confidence["points"] = _mean(evidence.points[BODY, 2])
    confidence["mask"] = 0.0
    if person.mask is not None:
        shown = person.mask[inside_image(person.camera, person.square)]
        confidence["mask"] = _mean(np.abs(shown / np.float32(127.5) - 1.0))
    return confidence


def _mean(values: Array, unknown: float = 0.0) -> float:
    """Return the mean of those that are not NaN, at most 1; `unknown` where all are."""
    known = values[np.isfinite(values)]
    return float(np.clip(known.mean(), 0.0, 1.0)) if len(known) else unknown
