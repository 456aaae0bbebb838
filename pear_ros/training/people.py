# SPDX-License-Identifier: Apache-2.0
"""Predicted people as tensors that losses can be computed of: from the network's vectors.

Shapes in comments: B people, V vertices.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pear_ros.body.ehm_parameters import EhmParameters
from pear_ros.body.kinematics import rotation_matrices
from pear_ros.pear.body import PearBody, body_joints, body_parameters, body_vertices
from pear_ros.pear.crop import INPUT_SIZE
from pear_ros.pear.placement import DISTANCE, FOCAL
from pear_ros.pear.prediction import Prediction
from pear_ros.training.bodies import JAW_AND_EYES, flame_size

_LEAST_SCALE = 0.05
"""Least scale of the crop's camera with which people are projected; the loss of the camera itself
pulls smaller ones up."""


@dataclass(frozen=True)
class PredictedPeople:
    """B people in the frame of their crop's camera: x right, y down, z forward, metres."""

    rotations: Tensor
    """(B, 55, 3, 3) relative to the parents, the first to the camera; jaw and eyes as predicted,
    also where FLAME has them."""
    betas: Tensor
    """(B, num_betas) shape."""
    expression: Tensor
    """(B, num_expression) expression."""
    flame: Tensor
    """(B, F) FLAME's parameters, see pear_ros.training.bodies."""
    joints: Tensor
    """(B, 55, 3) joints, without the camera's translation."""
    vertices: Tensor
    """(B, V, 3) vertices, without the camera's translation."""
    camera: Tensor
    """(B, 3) tx, ty and s, see pear_ros.pear.placement."""

    @property
    def keypoints(self) -> Tensor:
        """(B, 55, 2) joints in pixels of the crop."""
        return project(self.joints, self.camera)[..., :2]


def predicted_people(vectors: Tensor, body: PearBody) -> PredictedPeople:
    """Return the people of the network's `vectors` (B, VECTOR_SIZE), float32.

    `body` with its constants as tensors on their device. Raises ValueError for another length.
    """
    seen = Prediction.from_vectors(vectors)
    people = body_parameters(body, seen)
    return PredictedPeople(
        rotations=_with_head(people) if flame_size(body) else people.pose,
        betas=people.betas,
        expression=people.expression,
        flame=_flame(people)[:, : flame_size(body)],
        joints=body_joints(body, people),
        vertices=body_vertices(body, people),
        camera=seen.camera,
    )


def _with_head(people: EhmParameters) -> Tensor:
    """Return the rotations (B, 55, 3, 3) with FLAME's jaw and eyes."""
    turning = torch.cat([people.jaw, people.eyes], dim=1).reshape(-1, 3, 3)
    before, after = people.pose[:, : JAW_AND_EYES.start], people.pose[:, JAW_AND_EYES.stop :]
    return torch.cat([before, rotation_matrices(turning), after], dim=1)


def _flame(people: EhmParameters) -> Tensor:
    """Return the rows (B, F) of FLAME's parameters, in the order of FLAME_PARTS."""
    head = (people.jaw, people.eyes, people.eyelids, people.head_scale)
    return torch.cat([people.flame_shape, people.flame_expression, *head], dim=1)


def project(points: Tensor, camera: Tensor) -> Tensor:
    """Return u, v in pixels of the crop and depth z in metres (B, N, 3) of points (B, N, 3).

    `camera` (B, 3): tx, ty and s of the crop's camera. Integer pixels are centres of pixels.
    """
    scale = camera[:, None, 2:].clamp_min(_LEAST_SCALE)
    depth = points[..., 2:] + DISTANCE / scale
    flat = (points[..., :2] - camera[:, None, :2]) / depth
    return torch.cat([INPUT_SIZE / 2 + FOCAL * flat, depth], dim=-1)


def root_relative(points: Tensor, joints: Tensor) -> Tensor:
    """Return points (B, N, 3) relative to the pelvis, the first of `joints` (B, 55, 3)."""
    return points - joints[:, :1]
