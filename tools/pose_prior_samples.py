# SPDX-License-Identifier: Apache-2.0
"""Training samples for the pose prior without new pictures.

A sample is a pose mixed from a stock, a shape and a camera, the true places of its 33 landmarks,
and on them the residuals that the landmark model left on a render of a similar pose: all 33 of one
render at once, with their scores, because errors of landmarks are strongly correlated. Everything
is in the frame of the person's region: along the ray to it, turned upright, in units of its side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pear_ros.core.mirroring import mirrored_rotations
from pear_ros.fitting.pose_prior import mirrored_input
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS
from pear_ros.landmarks.topology import NUM_POSE, Pose
from tools.pose_prior_bank import COORDINATES, HIPS, VIEW, Bank, Kinematics, projected

LIMBS = (
    *((13, 16, 18, 20), (14, 17, 19, 21)),
    *((1, 4, 7, 10), (2, 5, 8, 11)),
    *((3, 6, 9), (12, 15)),
)
"""Joints of both arms, both legs, spine and head."""
LOWER = (0, 1, 2, 4, 5, 7, 8, 10, 11)
"""Joints from the pelvis downwards."""
_SHOULDERS = slice(Pose.LEFT_SHOULDER, Pose.RIGHT_SHOULDER + 1)


def exponential(vectors: torch.Tensor) -> torch.Tensor:
    """Return the rotations (..., 3, 3) of rotation vectors (..., 3), radians (Rodrigues)."""
    angle = vectors.norm(dim=-1)[..., None, None].clamp(min=1e-8)
    x, y, z = (vectors / angle[..., 0]).unbind(-1)
    o = torch.zeros_like(x)
    K = torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).reshape(*vectors.shape[:-1], 3, 3)
    rotations: torch.Tensor = torch.eye(3) + angle.sin() * K + (1 - angle.cos()) * (K @ K)
    return rotations


def about(axis: int, angle: torch.Tensor) -> torch.Tensor:
    """Return rotations (N, 3, 3) by angles (N,), radians, about one of the axes."""
    return exponential(angle[:, None] * torch.eye(3)[axis])


def viewing_rotations(ray: torch.Tensor) -> torch.Tensor:
    """Return the shortest rotations (N, 3, 3) from the optical axis to rays (N, 2), x/z and y/z."""
    axis = torch.stack([-ray[:, 1], ray[:, 0], torch.zeros(len(ray))], dim=1)
    length = axis.norm(dim=1, keepdim=True).clamp(min=1e-8)
    return exponential(axis / length * torch.atan(length))


class PoseMixer:
    """Draws poses: mixed from a stock, shaken, leaning, lying, seen from anywhere."""

    def __init__(self, stock: torch.Tensor) -> None:
        """Draw from `stock` (N, 22, 3, 3), rotations of poses in an upright world."""
        self._stock = stock

    def __call__(self, count: int) -> torch.Tensor:
        """Return rotations (count, 22, 3, 3), the root in the frame of a level or rolled camera."""
        R, chance = self._pick(count), torch.rand(count)
        halves = torch.nonzero(chance < 0.15)[:, 0]
        lower = torch.tensor(LOWER)
        R[halves[:, None], lower] = self._pick(len(halves))[:, lower]
        which = torch.randint(len(LIMBS), (count,))
        for number, limb in enumerate(LIMBS):
            swapped = torch.nonzero((chance > 0.88) & (which == number))[:, 0]
            joints = torch.tensor(limb)
            R[swapped[:, None], joints] = self._pick(len(swapped))[:, joints]
        shaken = np.radians(4) * (torch.rand(count, 1, 1) < 0.7)
        R[:, 1:] = R[:, 1:] @ exponential(torch.randn(count, NUM_BODY_JOINTS - 1, 3) * shaken)
        R[:, 0] = self._view(count) @ self._lean(count) @ R[:, 0]
        return R

    def _pick(self, count: int) -> torch.Tensor:
        return self._stock[torch.randint(len(self._stock), (count,))].clone()

    @staticmethod
    def _lean(count: int) -> torch.Tensor:
        chance, way = torch.rand(count), torch.rand(count) * 2 * np.pi
        lean = torch.where(chance < 0.2, torch.randn(count) * np.radians(25), torch.zeros(count))
        lying = np.radians(60) * (1 + torch.rand(count))
        lean = torch.where((chance > 0.2) & (chance < 0.24), lying, lean)
        axis = torch.stack([way.cos(), torch.zeros(count), way.sin()], 1)
        return exponential(lean[:, None] * axis)

    @staticmethod
    def _view(count: int) -> torch.Tensor:
        """Return rotations from the upright world to cameras, as tools.pose_prior_renders has."""
        steep = torch.rand(count) < 0.15
        pitch = torch.where(steep, 115 * torch.rand(count) - 50, 12 * torch.randn(count))
        rolled = torch.rand(count) < 0.1
        roll = torch.where(rolled, 30.0, 4.0) * torch.randn(count)
        facing = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
        turn = about(1, torch.rand(count) * 2 * np.pi)
        return about(2, torch.deg2rad(roll)) @ about(0, torch.deg2rad(pitch)) @ facing @ turn


@dataclass(frozen=True)
class Samples:
    """Inputs of the network and the truth."""

    inputs: torch.Tensor
    """(N, 269)."""
    rotations: torch.Tensor
    """(N, 22, 3, 3), the root in the region's frame."""
    betas: torch.Tensor
    """(N, num_betas)."""


def synthesised(count: int, mix: PoseMixer, bank: Bank, kinematics: Kinematics) -> Samples:
    """Return samples of new poses with the residuals of renders of similar ones."""
    R, betas = mix(count), torch.randn(count, kinematics.num_betas).clamp(-2.5, 2.5)
    ray = 0.25 * torch.randn(count, 2)
    R[:, 0] = viewing_rotations(ray).transpose(1, 2) @ R[:, 0]
    child = torch.rand(count) < 0.06
    # The first coefficient is height, the sixth age (tools/build_open_body.py).
    betas[child, 0], betas[child, 5] = -2.5 - 2 * torch.rand(int(child.sum())), -2.0
    landmarks = kinematics.landmarks(R, betas)
    centred = landmarks - landmarks[:, HIPS].mean(dim=1, keepdim=True)
    up = centred[:, _SHOULDERS].mean(dim=1)
    angle = torch.atan2(up[:, 0], -up[:, 1]) + torch.randn(count) * 0.08
    back = about(2, -angle)
    R[:, 0] = back @ R[:, 0]
    centred = torch.einsum("nij,nkj->nki", back, centred)
    at = bank.similar(centred.flatten(1))
    # The region lies about the landmarks as that of the render does, at any distance.
    theirs = bank.true_image[at, HIPS, :2].mean(dim=1)
    reach = (bank.true_image[at, :, :2] - theirs[:, None]).norm(dim=-1).amax(1).clamp(min=0.05)
    distance = torch.exp(torch.empty(count).uniform_(np.log(1.0), np.log(9.0)))
    placed = centred.clone()
    placed[..., 2] += distance[:, None]
    side = (placed[..., :2] / placed[..., 2:].clamp(min=0.1)).norm(dim=-1).amax(1) / reach
    placed[..., :2] += (theirs * (side * distance)[:, None])[:, None]
    ray = torch.einsum("nij,nj->ni", back[:, :2, :2], ray)
    view = torch.cat([angle.sin()[:, None], angle.cos()[:, None], ray, side[:, None]], 1)
    scale = torch.exp(0.25 * torch.randn(count, 1, 1))
    image = projected(placed, side) + scale * bank.image_residual[at]
    world = centred + scale * bank.world_residual[at]
    inputs = torch.cat([image.flatten(1), world.flatten(1), bank.scores[at], view], 1)
    return Samples(inputs, R, betas)


def roughened(inputs: torch.Tensor, amount: float) -> torch.Tensor:
    """Return inputs with what renders do not show: limbs misread, scores that say little."""
    count, limb = len(inputs), torch.tensor([0] * 11 + [1, 2] * 6 + [3, 4] * 5)
    own = torch.randn(count, 2, NUM_POSE, 3) * torch.tensor([0.006, 0.02])[:, None, None]
    spread = torch.tensor([0.012, 0.04])[:, None, None]
    by_limb = torch.randn(count, 2, 5, 3)[:, :, limb] * spread
    points = inputs[:, :COORDINATES] + amount * (own + by_limb).flatten(1)
    image, world = torch.split(points, 3 * NUM_POSE, dim=1)
    world = world * (1 + 0.08 * torch.randn(count, 1))
    scores = inputs[:, COORDINATES:VIEW] + amount * 0.1 * torch.randn(count, 2 * NUM_POSE)
    return torch.cat([image, world, scores.clamp(0, 1), inputs[:, VIEW:]], 1)


def mirrored(inputs: torch.Tensor, rotations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return inputs (N, 269) and rotations (N, 22, 3, 3) of the mirrored people."""
    return (
        torch.from_numpy(mirrored_input(inputs.numpy())),
        torch.from_numpy(mirrored_rotations(rotations.numpy())),
    )
