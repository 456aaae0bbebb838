# SPDX-License-Identifier: Apache-2.0
"""Inverse kinematics of legs that turn about the hips: knees and feet keep their shape.

The leg turns by the shortest way, so that the ankle is in the wanted direction from the hip, and
the foot keeps its orientation. The knee stays as it is bent: to shorten a stretched leg by 1 cm,
it would have to come forward by 6 cm.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.body.kinematics import rotation_matrices, rotation_vectors
from pear_ros.core.people import Array
from pear_ros.smoothing.soles import ANKLES, FEET, HIPS, KNEES

Doubles = npt.NDArray[np.float64]

_TINY = 1e-12


def turn_legs(pose: Array, joints: Array, offsets: Doubles) -> tuple[Array, Array]:
    """Return pose (N, 55, 3) and joints (N, 55, 3) with the ankles moved towards `offsets`.

    `pose`: axis-angle, radians; `joints`, and `offsets` (N, 2, 3) of left and right ankle, in
    metres, in the frame of the first rotation of the pose. The distance of ankle and hip stays.
    """
    root, thigh, shank, ankle = _local_rotations(pose)
    hip_place, ankle_place = (joints[:, one].astype(np.float64) for one in (HIPS, ANKLES))
    leg = ankle_place - hip_place  # (N, 2, 3)
    turn = _shortest(leg, leg + offsets)  # (N, 2, 3, 3)
    new_thigh = _transposed(root) @ turn @ root @ thigh
    # The foot's global orientation is root thigh shank ankle, before and after.
    new_ankle = _transposed(new_thigh @ shank) @ thigh @ shank @ ankle
    pose, joints = pose.copy(), joints.copy()
    pose[:, [*HIPS, *ANKLES]] = rotation_vectors(np.concatenate([new_thigh, new_ankle], axis=1))
    moved = (_turned(turn, leg) - leg).astype(joints.dtype)
    joints[:, KNEES] = hip_place + _turned(turn, joints[:, KNEES] - hip_place)
    joints[:, ANKLES] += moved
    joints[:, FEET] += moved
    return pose, joints


def _local_rotations(pose: Array) -> list[Doubles]:
    """The root's rotation (N, 1, 3, 3) and those of hips, knees and ankles (N, 2, 3, 3)."""
    chain = rotation_matrices(pose[:, [0, *HIPS, *KNEES, *ANKLES]].astype(np.float64))
    return [chain[:, :1], chain[:, 1:3], chain[:, 3:5], chain[:, 5:7]]


def _shortest(start: Doubles, end: Doubles) -> Doubles:
    """(..., 3, 3) rotations from one direction to the other by the shortest way."""
    normal = np.cross(start, end)
    sine = np.linalg.norm(normal, axis=-1)
    angle = np.arctan2(sine, (start * end).sum(axis=-1))
    return np.asarray(rotation_matrices(normal * (angle / np.maximum(sine, _TINY))[..., None]))


def _transposed(rotations: Doubles) -> Doubles:
    return np.asarray(np.swapaxes(rotations, -1, -2))


def _turned(rotations: Doubles, vectors: Doubles) -> Doubles:
    return np.asarray((rotations @ vectors[..., None])[..., 0])
