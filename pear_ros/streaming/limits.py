# SPDX-License-Identifier: Apache-2.0
"""Rate limits: no step of a stream is greater than limits on speed allow, whatever comes in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pear_ros.core import quaternions
from pear_ros.streaming.body_pose import BodyPose, Float64

BONE_SPEED = 0.1
"""Greatest speed at which bones change from one person's to another's, metres a second."""


class Limits(NamedTuple):
    """Greatest speeds of a stream."""

    joint_rate: float
    """Angular speed of every joint but the root, relative to its parent, radians a second."""
    root_speed: float
    """Speed of the pelvis, metres a second."""
    turn_rate: float
    """Angular speed of the pelvis, yaw included, radians a second."""


def limited(previous: BodyPose, target: BodyPose, limits: Limits, seconds: float) -> BodyPose:
    """Return the motion `seconds` after `previous` that is as near to `target` as limits allow.

    Rotations follow the shortest way on SO(3), places the straight line.
    """
    angles = np.full(len(target.rotations), limits.joint_rate * seconds)
    angles[0] = limits.turn_rate * seconds
    turns = quaternions.to_vectors(quaternions.difference(previous.rotations, target.rotations))
    steps = quaternions.from_vectors(shortened(turns, angles))
    rotations = quaternions.product(previous.rotations, steps)
    rotations /= np.linalg.norm(rotations, axis=-1, keepdims=True)  # rounding adds up
    root = shortened(target.root - previous.root, limits.root_speed * seconds)
    bones = shortened(target.bones - previous.bones, BONE_SPEED * seconds)
    return BodyPose(
        previous.root + root, rotations, previous.bones + bones, hands_seen=target.hands_seen
    )


def shortened(vectors: Float64, longest: Float64 | float) -> Float64:
    """Return vectors (..., n), scaled down to a length of at most `longest` (...)."""
    lengths = np.linalg.norm(vectors, axis=-1)
    shares = np.minimum(1.0, longest / np.maximum(lengths, 1e-12))
    scaled: Float64 = vectors * shares[..., None]
    return scaled
