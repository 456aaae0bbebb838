# SPDX-License-Identifier: Apache-2.0
"""Steps between the poses of people, as vectors in the tangent space of a pose.

A pose is the rotations of J joints on SO(3) and the position of the pelvis. A step has C = J + 2
channels along up to three axes each: the joints, radians in their own frames; the pelvis across the
line of sight, metres; and its depth, metres, as the first component of the last channel. A camera
measures direction well and depth badly, so that a step in depth moves the pelvis along its ray.

`boxplus` and `boxminus` are the operators of Hertzberg et al., Information Fusion 14, 2013.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.core import quaternions

Doubles = npt.NDArray[np.float64]


def boxplus(rotations: Doubles, pelvis: Doubles, step: Doubles) -> tuple[Doubles, Doubles]:
    """Return rotations (N, J, 4) and pelvis (N, 3), metres, after a step (N, 3, C).

    A step reduces the depth to half of it at most.
    """
    turns = quaternions.from_vectors(step[..., :-2].swapaxes(1, 2))  # (N, J, 4)
    depth = pelvis[:, 2:]
    depth_step = np.maximum(step[:, :1, -1], -0.5 * depth)
    moved = pelvis * (1.0 + depth_step / depth) + step[..., -2]
    return quaternions.product(rotations, turns), moved


def boxminus(
    rotations: Doubles, pelvis: Doubles, end_rotations: Doubles, end_pelvis: Doubles
) -> Doubles:
    """Return the step (N, 3, C) from one pose to another: the inverse of `boxplus`.

    Rotations (N, J, 4) are unit quaternions, pelvis positions (N, 3) are in metres.
    """
    step = np.zeros((len(pelvis), 3, rotations.shape[1] + 2))
    turns = quaternions.to_vectors(quaternions.difference(rotations, end_rotations))  # (N, J, 3)
    step[..., :-2] = turns.swapaxes(1, 2)
    step[..., -2] = end_pelvis - pelvis * (end_pelvis[:, 2:] / pelvis[:, 2:])
    step[:, 0, -1] = end_pelvis[:, 2] - pelvis[:, 2]
    return step
