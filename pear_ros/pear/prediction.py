# SPDX-License-Identifier: Apache-2.0
"""The network's output vector, and the parameters of people that it contains."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from pear_ros.body.ehm_parameters import EhmParameters
from pear_ros.body.kinematics import Tensor, namespace, no_rotations
from pear_ros.pear.rotation6d import matrices_from_6d

_BODY_JOINTS, _JAW_AND_EYES, _HAND_JOINTS = 21, 3, 15
_ROTATIONS = 1 + _BODY_JOINTS + 2 * _HAND_JOINTS

LAYOUT: dict[str, int] = {
    "rotations": 6 * _ROTATIONS,
    "hand_scale": 3,
    "head_scale": 3,
    "betas": 200,
    "expression": 50,
    "eyes": 6,
    "flame_pose": 3,
    "jaw": 3,
    "eyelids": 2,
    "flame_shape": 300,
    "flame_expression": 50,
    "camera": 3,
}
"""The output vector's parts in order, with their sizes.

`rotations`: global, body, left and right hand joints, six numbers each (Zhou et al., CVPR 2019);
the others are fields of Prediction."""

VECTOR_SIZE = sum(LAYOUT.values())
"""Numbers of the output vector of one person."""

_PARTS = {
    name: slice(end - size, end)
    for (name, size), end in zip(LAYOUT.items(), accumulate(LAYOUT.values()), strict=True)
}


@dataclass(frozen=True)
class Prediction:
    """Predicted parameters of B people, NumPy arrays or torch tensors like the output vectors.

    Rotations are matrices relative to the parent joint, in SMPL-X's order; the global one is
    relative to the optical frame (REP-103) of the crop's camera. FLAME's are axis-angle vectors.
    """

    global_orient: Tensor
    """(B, 1, 3, 3) rotation of the root from the body's axes to the crop camera's."""
    body_pose: Tensor
    """(B, 21, 3, 3) rotations of the body's joints relative to their parents."""
    left_hand_pose: Tensor
    """(B, 15, 3, 3) rotations of the left hand's joints relative to their parents."""
    right_hand_pose: Tensor
    """(B, 15, 3, 3) rotations of the right hand's joints relative to their parents."""
    betas: Tensor
    """(B, 200) SMPL-X shape coefficients."""
    expression: Tensor
    """(B, 50) SMPL-X expression coefficients."""
    hand_scale: Tensor
    """(B, 3) predicted, but not used by EHM-s."""
    head_scale: Tensor
    """(B, 3) scale of the head along FLAME's axes."""
    flame_shape: Tensor
    """(B, 300) FLAME shape coefficients."""
    flame_expression: Tensor
    """(B, 50) FLAME expression coefficients."""
    flame_pose: Tensor
    """(B, 3) rotation of the whole head; predicted, but not used by EHM-s."""
    jaw: Tensor
    """(B, 3) rotation of the jaw, axis-angle."""
    eyes: Tensor
    """(B, 6) rotations of the left and the right eye, axis-angle."""
    eyelids: Tensor
    """(B, 2) left and right eyelid, from 0 (as in the template) to 1 (closed)."""
    camera: Tensor
    """(B, 3) tx and ty (metres) and scale s of the crop's camera, see pear_ros.pear.placement."""

    @classmethod
    def from_vectors(cls, vectors: Tensor) -> Prediction:
        """Return the parameters in `vectors` (B, VECTOR_SIZE); all but the rotations are views.

        Raises ValueError when the vectors have another length.
        """
        people, size = vectors.shape
        if size != VECTOR_SIZE:
            raise ValueError(f"the network's vector has {VECTOR_SIZE} numbers, not {size}")
        parts = {name: vectors[:, place] for name, place in _PARTS.items()}
        rotations = matrices_from_6d(parts.pop("rotations").reshape(people, _ROTATIONS, 6))
        left, right = 1 + _BODY_JOINTS, 1 + _BODY_JOINTS + _HAND_JOINTS
        return cls(
            global_orient=rotations[:, :1],
            body_pose=rotations[:, 1:left],
            left_hand_pose=rotations[:, left:right],
            right_hand_pose=rotations[:, right:],
            **parts,
        )

    def parameters(self) -> EhmParameters:
        """Return the body's parameters, with translation 0."""
        xp = namespace(self.betas)
        rest = no_rotations(self.body_pose[:, :_JAW_AND_EYES])
        hands = (self.left_hand_pose, self.right_hand_pose)
        parts = (self.global_orient, self.body_pose, rest, *hands)
        return EhmParameters(
            pose=xp.concat(parts, axis=1),
            betas=self.betas,
            expression=self.expression,
            flame_shape=self.flame_shape,
            flame_expression=self.flame_expression,
            jaw=self.jaw,
            eyes=self.eyes,
            eyelids=self.eyelids,
            head_scale=self.head_scale,
            transl=xp.zeros_like(self.camera),
        )
