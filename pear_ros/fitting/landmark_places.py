# SPDX-License-Identifier: Apache-2.0
"""Where on the open body the 33 landmarks of the body lie."""

from __future__ import annotations

import numpy as np

from pear_ros.core.people import Array
from pear_ros.fitting.pose_prior import PosePrior
from pear_ros.fitting.skeleton import AttachedPoints
from pear_ros.landmarks.topology import Pose

# Offsets from the head joint along its axes (left, up, out of the face), metres; of the left side.
# Measured on photographs: least squares of the body's landmarks on 58 faces, each placed by the
# landmarks of its face mesh. Renders are no measure here: landmark models read the direction of a
# rendered face badly, and the mean place of a landmark then lies halfway to the head's middle.
_HEAD: dict[str, tuple[float, float, float]] = {
    "NOSE": (0.0, 0.004, 0.102),
    "LEFT_EYE_INNER": (0.018, 0.034, 0.084),
    "LEFT_EYE": (0.031, 0.034, 0.078),
    "LEFT_EYE_OUTER": (0.042, 0.033, 0.072),
    "LEFT_EAR": (0.060, 0.021, 0.031),
    "MOUTH_LEFT": (0.022, -0.028, 0.090),
}

# Offsets from the shoulder joint and the pelvis along their axes, metres; of the left side.
# Measured on photographs, without labels: where fits to the landmarks of 123 people leave hardly
# any mean difference. With the places on renders, shoulders of fits were too low by a hundredth of
# the height.
_TRUNK: dict[str, tuple[float, float, float]] = {
    "LEFT_SHOULDER": (-0.021, 0.027, 0.025),
    "LEFT_HIP": (0.096, -0.020, 0.046),
}


def landmark_points(prior: PosePrior) -> AttachedPoints:
    """Return the 33 landmarks as points of the open body, indexed by topology.Pose.

    Places on the limbs are those of the prior's calibration, on renders.
    """
    offset = prior.landmark_offset.copy()
    for name, place in {**_HEAD, **_TRUNK}.items():
        offset[Pose[name]] = place
        offset[Pose[name.replace("LEFT", "RIGHT")]] = _mirrored(place)
    return AttachedPoints(prior.landmark_joint, offset)


def _mirrored(place: tuple[float, float, float]) -> Array:
    x, y, z = place
    return np.array([-x, y, z], np.float32)
