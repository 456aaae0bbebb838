# SPDX-License-Identifier: Apache-2.0
"""A body in SMPL-X's layout: from parameters to joints and mesh, batched over people.

The function is that of SMPL (Loper et al., SIGGRAPH Asia 2015) and SMPL-X (Pavlakos et al., CVPR
2019): blend shapes, joints regressed from the shaped template, linear blend skinning. What the
model file fixes is computed once: joints depend on the coefficients through a small linear map, so
no vertex is touched until somebody asks for the mesh.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from pear_ros.body.blending import Directions
from pear_ros.body.kinematics import Array, rotation_matrices
from pear_ros.body.skinning import Skin, vertex_list


@dataclass(frozen=True)
class BodyModel:
    """Blend shapes, joint tree and skinning weights of one body (V vertices, F faces, J joints)."""

    name: str
    """As published in HumanArray.body_model."""
    sha256: str
    """Hash of the model file."""
    license_note: str
    joint_names: tuple[str, ...]
    parents: npt.NDArray[np.int32]
    """(J,) parent of each joint, -1 for the root."""
    faces: npt.NDArray[np.int32]
    """(F, 3) vertex indices, counter-clockwise seen from outside."""
    v_template: Array
    """(V, 3) the mean body in the T-pose, metres, y up, facing +z."""
    shapedirs: Array
    """(V, 3, num_betas) vertex offsets per unit of shape."""
    exprdirs: Array
    """(n, 3, num_expression) offsets per unit of expression of the vertices that move at all."""
    exprdirs_vertices: npt.NDArray[np.intp]
    """(n,) those vertices."""
    expression_names: tuple[str, ...]
    """One name for each expression coefficient; empty where they have none."""
    joint_regressor: sparse.csr_array
    """(J, V) joints of the T-pose as weighted means of vertices."""
    weights: sparse.csr_array
    """(V, J) skinning weights; rows sum to 1."""
    posedirs: Array | None = None
    """(V, 3, 9 (J - 1)) pose-corrective offsets, row-major; None where the body has none."""
    _joint_template: Array = field(init=False, repr=False)
    _joint_dirs: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        expression = np.zeros((*self.v_template.shape, self.num_expression), np.float32)
        expression[self.exprdirs_vertices] = self.exprdirs
        dirs = np.concatenate([self.shapedirs, expression], axis=2)
        joint_dirs = self.joint_regressor @ dirs.reshape(self.vertex_count, -1)
        fixed = {
            "_joint_template": (self.joint_regressor @ self.v_template).astype(np.float32),
            "_joint_dirs": joint_dirs.reshape(-1, *dirs.shape[1:]).astype(np.float32),
        }
        for name, value in fixed.items():
            object.__setattr__(self, name, value)

    @cached_property
    def skin(self) -> Skin:
        """What moves the vertices."""
        return Skin(self.parents, self.weights.toarray(), self.posedirs)

    @cached_property
    def _template(self) -> Array:
        return np.ascontiguousarray(self.v_template.T)

    @cached_property
    def _shapes(self) -> Directions:
        return Directions(self.shapedirs)

    @cached_property
    def _expressions(self) -> Directions:
        return Directions(self.exprdirs)

    @property
    def num_betas(self) -> int:
        """Number of shape coefficients."""
        return int(self.shapedirs.shape[2])

    @property
    def num_expression(self) -> int:
        """Number of expression coefficients."""
        return int(self.exprdirs.shape[2])

    @property
    def vertex_count(self) -> int:
        """Number of vertices of the mesh."""
        return len(self.v_template)

    @property
    def joint_dirs(self) -> Array:
        """(J, 3, num_betas + num_expression) movement of the T-pose joints per coefficient."""
        return self._joint_dirs

    def rest_joints(self, betas: Array, expression: Array) -> Array:
        """(B, J, 3) joints of the T-pose.

        For `betas` (B, num_betas) and `expression` (B, num_expression).
        """
        coefficients = np.concatenate([betas, expression], axis=1)
        moved: Array = np.einsum("jck,bk->bjc", self._joint_dirs, coefficients)
        return self._joint_template + moved

    def joints(self, pose: Array, betas: Array, expression: Array, transl: Array) -> Array:
        """(B, J, 3) posed joints, without computing any mesh. Arguments as for `vertices`."""
        rest = self.rest_joints(betas, expression)
        joints: Array = self.skin.joints(rotation_matrices(pose), rest, transl)
        return joints

    def vertices(self, pose: Array, betas: Array, expression: Array, transl: Array) -> Array:
        """(B, V, 3) float32 mesh vertices in metres, in the frame of `transl`.

        `pose` (B, J, 3) axis-angle relative to the parent, global_orient first; `betas`
        (B, num_betas); `expression` (B, num_expression); `transl` (B, 3).
        """
        template = self._template + self._shapes(betas)
        if expression.any():
            template[:, :, self.exprdirs_vertices] += self._expressions(expression)
        rest = self.rest_joints(betas, expression)
        planes = self.skin.vertices(rotation_matrices(pose), template, rest, transl)
        vertices: Array = vertex_list(planes)
        return vertices
