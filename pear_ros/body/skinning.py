# SPDX-License-Identifier: Apache-2.0
"""From a body in the T-pose to the posed body: pose-corrective offsets and linear blend skinning.

The function is that of SMPL (Loper et al., SIGGRAPH Asia 2015). Vertices are kept plane by plane,
(B, 3, V), so that every step runs along memory; `vertex_list` gives them the usual way. Works on
NumPy arrays and on torch tensors alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from pear_ros.body.blending import Directions
from pear_ros.body.kinematics import AsArray, JointTree, Tensor, float32_array


class Skin:
    """What moves the vertices of one body, batched over people."""

    def __init__(
        self,
        parents: npt.NDArray[np.integer],
        weights: npt.NDArray[Any],
        posedirs: npt.NDArray[Any] | None,
        asarray: AsArray = float32_array,
        bending: Sequence[int] | None = None,
    ) -> None:
        """The constants of one body of J joints and V vertices.

        `parents` (J,), -1 for the root; `weights` (V, J), rows sum to 1; `posedirs` (V, 3, 9 (J-1))
        offsets per entry of each rotation but the root's, less the identity; or None. `bending`:
        the joints, without the root, that ever leave the T-pose; all when not given.
        """
        self._tree = JointTree(parents, asarray)
        self._weights = asarray(weights.T)
        self._directions: Directions | None = None
        if posedirs is not None:
            bent = np.arange(1, len(parents)) if bending is None else np.asarray(bending)
            by_joint = posedirs.reshape(*posedirs.shape[:2], -1, 9)[:, :, bent - 1]
            self._directions = Directions(by_joint.reshape(*posedirs.shape[:2], -1), asarray)
            self._bent = asarray(bent)
            self._identity = asarray(np.eye(3, dtype=np.float32))

    def vertices(
        self, rotations: Tensor, template: Tensor, rest_joints: Tensor, transl: Tensor
    ) -> Tensor:
        """(B, 3, V) the posed mesh.

        `rotations` (B, J, 3, 3) of each joint relative to its parent; `template` (B, 3, V) the
        shaped body in the T-pose and `rest_joints` (B, J, 3) its joints; `transl` (B, 3) is added.
        """
        xp = array_namespace(rotations)
        people, joints = rotations.shape[:2]
        if self._directions is not None:
            feature = xp.take(rotations, self._bent, axis=1) - self._identity
            template = template + self._directions(feature.reshape(people, 9 * len(self._bent)))
        orientation = self._tree.orientations(rotations)
        position = self._tree.positions(orientation, self._tree.bones(rest_joints))
        offset = position - (orientation @ rest_joints[..., None])[..., 0] + transl[:, None]
        transforms = xp.concat([orientation, offset[..., None]], axis=3)
        blended = transforms.reshape(people, joints, 12).swapaxes(1, 2) @ self._weights
        rows = blended.reshape(people, 3, 4, blended.shape[2])
        moved = rows[:, :, 0] * template[:, None, 0]
        moved += rows[:, :, 1] * template[:, None, 1]
        moved += rows[:, :, 2] * template[:, None, 2]
        moved += rows[:, :, 3]
        return moved


def vertex_list(planes: Tensor) -> Tensor:
    """(B, V, 3) contiguous, of vertices plane by plane (B, 3, V)."""
    xp = array_namespace(planes)
    return xp.stack([planes[:, 0], planes[:, 1], planes[:, 2]], axis=2)
