# SPDX-License-Identifier: Apache-2.0
"""The original's implementation, for benchmarks.gpu: one person after the other, step by step.

A crop by OpenCV, copied to the GPU as float32; the network unchanged, in float32 and batch 1; then
FLAME and SMPL-X by the dense functions of the `smplx` package, whose joint tree is on the GPU as in
the package, and the vertices copied back.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from smplx.lbs import blend_shapes, lbs
from torch import Tensor

from pear_ros.body import BodyModel
from pear_ros.body.flame import PARENTS, FlameModel
from pear_ros.core.people import Array, Image
from pear_ros.pear.crop import Squares, crop_pixels
from pear_ros.pear.network import PearNetwork
from pear_ros.pear.prediction import Prediction

_EYES = slice(23, 25)
_FLAME_EYES = slice(3, 5)


class Original:
    """Image and squares -> vertices on the host."""

    def __init__(
        self, network: PearNetwork, smplx: BodyModel, flame: FlameModel, device: torch.device
    ) -> None:
        """`network` is moved to `device`."""
        self._network, self._device = network.to(device), device
        assert smplx.posedirs is not None
        self._smplx = self._dense(
            (smplx.v_template, smplx.directions, smplx.posedirs, smplx.joint_regressor.toarray()),
            (smplx.parents, smplx.weights.toarray()),
        )
        self._flame = self._dense(
            (flame.v_template, flame.shapedirs, flame.posedirs, flame.joint_regressor),
            (PARENTS, flame.weights),
        )
        self._eyelids = self._tensor(flame.eyelids)
        self._from = torch.from_numpy(np.flatnonzero(flame.swapped)).to(device)
        self._to = torch.from_numpy(flame.smplx_vertices[flame.swapped]).to(device)

    @torch.inference_mode()
    def __call__(self, image: Image, places: Squares) -> Array:
        """(B, V, 3) vertices, not placed in space."""
        return np.concatenate([self._person(image, place[None]) for place in places])

    def _person(self, image: Image, place: Squares) -> Array:
        crop = crop_pixels(image, place)[..., ::-1].astype(np.float32) / 255.0
        picture = torch.from_numpy(crop.transpose(0, 3, 1, 2).copy()).to(self._device)
        vertices: Array = self._vertices(Prediction.from_vectors(self._network(picture)))
        return vertices

    def _vertices(self, seen: Prediction) -> Any:
        template, directions, posedirs, regressor, parents, weights = self._smplx
        coefficients = torch.cat([seen.betas, seen.expression], dim=1)
        shaped = template + blend_shapes(coefficients, directions)
        head, eyes = self._head(seen)
        target = (regressor @ shaped)[:, _EYES].mean(dim=1)
        shaped[:, self._to] = (head + (target - eyes)[:, None])[:, self._from]
        rest = torch.eye(3, device=self._device).expand(1, 3, 3, 3)
        pose = (seen.global_orient, seen.body_pose, rest, seen.left_hand_pose, seen.right_hand_pose)
        none = torch.zeros((1, 1), device=self._device)
        vertices, _ = lbs(
            *(none, torch.cat(pose, dim=1), shaped, directions[..., :1], posedirs),
            *(regressor, parents, weights),
            pose2rot=False,
        )
        return vertices.cpu().numpy()

    def _head(self, seen: Prediction) -> tuple[Tensor, Tensor]:
        """FLAME's vertices (1, V, 3), and the middle between its eyes."""
        template, directions, posedirs, regressor, parents, weights = self._flame
        shape = torch.cat([seen.flame_shape, seen.flame_expression], dim=1)
        still = torch.zeros((1, 6), device=self._device)
        pose = torch.cat([still, seen.jaw, seen.eyes], dim=1)
        head, joints = lbs(
            *(shape, pose, template[None], directions, posedirs, regressor, parents, weights)
        )
        head = head + torch.einsum("be,evk->bvk", seen.eyelids, self._eyelids)
        return head * seen.head_scale[:, None], joints[:, _FLAME_EYES].mean(dim=1)

    def _dense(self, arrays: tuple[Any, ...], tree: tuple[Any, Any]) -> tuple[Tensor, ...]:
        """In the shapes that the package wants."""
        template, directions, posedirs, regressor = (self._tensor(values) for values in arrays)
        parents, weights = tree
        return (
            *(template, directions, posedirs.flatten(0, 1).T.contiguous()),
            *(regressor, torch.from_numpy(parents.astype(np.int64)).to(self._device)),
            self._tensor(weights),
        )

    def _tensor(self, values: Any) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).to(self._device)
