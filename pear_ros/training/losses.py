# SPDX-License-Identifier: Apache-2.0
"""Losses of training, stage 1: parameters, joints, projections, vertices; unknown truth is NaN.

A number of the truth that is NaN takes no part: neither in the sum nor in the count.

Shapes in comments: B people, V vertices.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pear_ros.pear.crop import INPUT_SIZE
from pear_ros.training.bodies import flame_parts
from pear_ros.training.people import PredictedPeople, root_relative

FLAME_LOSSES = {
    "flame_shape": "shape",
    "flame_expression": "expression",
    "eyelids": "eyelids",
    "head_scale": "head_scale",
}
"""Losses of EHM-s alone, with the part of FLAME's parameters that each compares."""
_BODY = 22
"""Joints of SMPL-X's body; jaw, eyes and fingers follow."""


@dataclass(frozen=True)
class TruePeople:
    """What is known of B people, in the frame of their crop's camera; NaN where it is not."""

    rotations: Tensor
    """(B, 55, 3, 3) relative to the parents, the first to the camera."""
    betas: Tensor
    """(B, num_betas) shape."""
    expression: Tensor
    """(B, num_expression) expression."""
    flame: Tensor
    """(B, F) FLAME's parameters, see pear_ros.training.bodies."""
    joints: Tensor
    """(B, 55, 3) metres; only differences to the pelvis count."""
    vertices: Tensor
    """(B, V, 3) metres; only differences to the pelvis count."""
    keypoints: Tensor
    """(B, 55, 2) joints in pixels of the crop."""
    camera: Tensor
    """(B, 3) tx, ty and s of the crop's camera."""
    joint_weights: Tensor
    """(B, 55) from 0 to 1, of rotations, joints and keypoints."""
    vertex_weights: Tensor
    """(B, V) from 0 to 1."""


def parameter_losses(found: PredictedPeople, true: TruePeople) -> dict[str, Tensor]:
    """Return the losses of stage 1 by name, each a number, not weighted.

    `rotations`: half the squared chordal distance |R - S|^2 / 2 = 2 (1 - cos a) (Hartley et al.,
    IJCV 2013), which has a gradient at all angles but 180 degrees; the mean over the body's joints
    plus that over jaw, eyes and fingers. `joints`, `vertices`: mean absolute difference, metres,
    relative to the pelvis. `keypoints`: mean absolute difference over half the crop's side.
    `camera`, `betas`, `expression`: mean squared difference; of EHM-s, so are `flame_shape`,
    `flame_expression`, `eyelids` and `head_scale`, while FLAME's jaw and eyes count as rotations.
    Means are weighted by those of joints and vertices.
    """
    weights = true.joint_weights[..., None]  # (B, 55, 1)

    def chordal(part: slice) -> Tensor:
        one, other = found.rotations[:, part], true.rotations[:, part]
        return 0.5 * 9.0 * known_mean(one, other, 2, weights[:, part, None])

    joints = root_relative(true.joints, true.joints)
    vertices = root_relative(true.vertices, true.joints)
    losses = {
        "rotations": chordal(slice(_BODY)) + chordal(slice(_BODY, None)),
        "joints": known_mean(
            root_relative(found.joints, found.joints)[:, 1:], joints[:, 1:], 1, weights[:, 1:]
        ),
        "vertices": known_mean(
            root_relative(found.vertices, found.joints),
            vertices,
            1,
            true.vertex_weights[..., None],
        ),
        "keypoints": known_mean(found.keypoints, true.keypoints, 1, weights) / (INPUT_SIZE / 2),
        "camera": known_mean(found.camera, true.camera, 2),
        "betas": known_mean(found.betas, true.betas, 2),
        "expression": known_mean(found.expression, true.expression, 2),
    }
    if true.flame.shape[1]:
        one, other = flame_parts(found.flame), flame_parts(true.flame)
        for name, part in FLAME_LOSSES.items():
            losses[name] = known_mean(one[part], other[part], 2)
    return losses


def known_mean(found: Tensor, true: Tensor, power: int, weight: Tensor | None = None) -> Tensor:
    """Return the mean of |found - true|^power over the numbers of `true` that are not NaN.

    `weight`: of each number, broadcast to `true`; the mean is weighted. 0 where nothing is known.
    Where truth is NaN the gradient is 0, also if `found` is not finite there.
    """
    known = ~torch.isnan(true)
    zero = torch.zeros_like(found)
    difference = (torch.where(known, found, zero) - torch.where(known, true, zero)).abs()
    share = known.to(found.dtype)
    if weight is not None:
        share = share * weight
    return (share * difference**power).sum() / share.sum().clamp_min(1e-9)
