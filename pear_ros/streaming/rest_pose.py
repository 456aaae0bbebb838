# SPDX-License-Identifier: Apache-2.0
"""The pose at rest, to which a stream returns when nobody is seen: upright, arms down."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pear_ros.core import quaternions
from pear_ros.core.heading import UPRIGHT, heading
from pear_ros.core.people import NUM_JOINTS
from pear_ros.hri.body_parts import JOINT
from pear_ros.streaming.body_pose import BodyPose, Float64, lowest_sole, on_floor

_ARMS_DOWN = 1.25
"""Angle by which the arms are lowered from the T-pose, radians."""


def at_rest(motion: BodyPose) -> BodyPose:
    """Return the pose at rest where `motion` is: same place, heading, bones and floor."""
    rotations = _rotations()
    rotations[0] = quaternions.product(heading(motion.rotations[0]), UPRIGHT)
    upright = replace(motion, rotations=rotations, hands_seen=(False, False))
    return on_floor(upright, lowest_sole(motion))


def _rotations() -> Float64:
    vectors = np.zeros((NUM_JOINTS, 3))
    vectors[JOINT["left_shoulder"], 2] = -_ARMS_DOWN
    vectors[JOINT["right_shoulder"], 2] = _ARMS_DOWN
    return quaternions.from_vectors(vectors)
