# SPDX-License-Identifier: Apache-2.0
"""Wrist angles of the Unitree G1 from a person's elbows and wrists, as SONIC expects them.

A human elbow bends and its forearm twists; the G1's elbow only bends. What the elbow does beside
bending is therefore added to the wrist: swing-twist decomposition about the axis of bending.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from pear_ros.hri.body_parts import JOINT
from pear_ros.streaming.body_pose import Float64

_LIMITS = np.array([1.97, 1.61, 1.61])
"""Greatest roll, pitch and yaw of the G1's wrists, radians."""
_ELBOWS = [JOINT["left_elbow"], JOINT["right_elbow"]]
_WRISTS = [JOINT["left_wrist"], JOINT["right_wrist"]]
_SIGNS = np.array([[1.0, 1.0, 1.0], [-1.0, -1.0, 1.0]])
"""Signs of roll, pitch and yaw of the left and the right wrist."""
_FIRST, _COUNT = 23, 29
"""Index of the first wrist joint, in IsaacLab's order: roll left, right, pitch, yaw; joints."""


class WristAngles:
    """The array `joint_pos` of the protocol, frame by frame."""

    def __init__(self, longest_step: float) -> None:
        """Limit the change from frame to frame to `longest_step` radians.

        Euler angles jump near their singularity.
        """
        self._longest_step = longest_step
        self._angles: Float64 | None = None

    def __call__(self, rotations: Float64) -> Float64:
        """Return the joint positions (29,), radians, all 0 but those of the wrists.

        `rotations` (55, 4): x y z w, relative to the parents.
        """
        angles = wrist_angles(rotations)
        if self._angles is not None:
            step = np.clip(angles - self._angles, -self._longest_step, self._longest_step)
            angles = self._angles + step
        self._angles = angles
        positions = np.zeros(_COUNT)
        positions[_FIRST:] = angles.T.ravel()
        return positions


def wrist_angles(rotations: Float64) -> Float64:
    """Return roll, pitch and yaw (2, 3) of the left and the right wrist, radians.

    `rotations` (55, 4): x y z w, relative to the parents.
    """
    swing = Rotation.from_quat(_swing(rotations[_ELBOWS])).as_euler("XYZ")
    angles = Rotation.from_quat(rotations[_WRISTS]).as_euler("XYZ")
    angles[:, [0, 2]] += swing[:, [0, 2]]
    clipped: Float64 = np.clip(_SIGNS * angles, -_LIMITS, _LIMITS)
    return clipped


def _swing(rotations: Float64) -> Float64:
    """Return what is left of rotations (n, 4) without their twist about y."""
    twist = rotations * (0.0, 1.0, 0.0, 1.0)
    lengths = np.linalg.norm(twist, axis=-1, keepdims=True)
    # Without a twist, as at half a turn across y, all of it is swing.
    twist = np.where(lengths > 1e-6, twist / np.maximum(lengths, 1e-6), (0.0, 0.0, 0.0, 1.0))
    inverse = Rotation.from_quat(twist).inv()
    swing: Float64 = (inverse * Rotation.from_quat(rotations)).as_quat()
    return swing
