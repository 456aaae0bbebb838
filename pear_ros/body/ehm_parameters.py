# SPDX-License-Identifier: Apache-2.0
"""Parameters of the body model EHM-s: SMPL-X with a scaled FLAME head (PEAR, arXiv 2601.22693)."""

from __future__ import annotations

from dataclasses import dataclass

from pear_ros.body.kinematics import Tensor


@dataclass(frozen=True)
class EhmParameters:
    """Parameters of B people, as NumPy arrays or as torch tensors."""

    pose: Tensor
    """(B, 55, 3, 3) rotations of SMPL-X's joints relative to their parents, or (B, 55, 3)
    axis-angle; jaw and eyes at rest."""
    betas: Tensor
    """(B, num_betas) shape of SMPL-X."""
    expression: Tensor
    """(B, num_expression) expression of SMPL-X."""
    flame_shape: Tensor
    """(B, 300) shape of FLAME."""
    flame_expression: Tensor
    """(B, 50) expression of FLAME."""
    jaw: Tensor
    """(B, 3) axis-angle, FLAME's."""
    eyes: Tensor
    """(B, 6) axis-angle, FLAME's left eye, then its right."""
    eyelids: Tensor
    """(B, 2) left, right; 0: as in the template, 1: closed."""
    head_scale: Tensor
    """(B, 3) factors along FLAME's axes, about its origin."""
    transl: Tensor
    """(B, 3) metres, added to the posed body."""
