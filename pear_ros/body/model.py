# SPDX-License-Identifier: Apache-2.0
"""A body in SMPL-X's layout: from parameters to joints and mesh, batched over people.

The function is that of SMPL (Loper et al., SIGGRAPH Asia 2015) and SMPL-X (Pavlakos et al., CVPR
2019): blend shapes, joints regressed from the shaped template, linear blend skinning. What the
model file fixes is computed once: joints depend on the coefficients through a small linear map, so
no vertex is touched until somebody asks for the mesh.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import sparse

from pear_ros.body.kinematics import Array, JointTree, rotation_matrices


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
    """(9 (J - 1), 3 V) pose-corrective offsets; None where the body has none."""
    tree: JointTree = field(init=False, repr=False)
    _shape_matrix: Array = field(init=False, repr=False)
    _expression_matrix: Array = field(init=False, repr=False)
    _joint_template: Array = field(init=False, repr=False)
    _joint_dirs: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        vertices, joints = len(self.v_template), len(self.parents)
        expression = np.zeros((vertices, 3, self.num_expression), np.float32)
        expression[self.exprdirs_vertices] = self.exprdirs
        dirs = np.concatenate([self.shapedirs, expression], axis=2)
        joint_dirs = self.joint_regressor @ dirs.reshape(vertices, -1)
        fixed = {
            "tree": JointTree(self.parents),
            "_shape_matrix": np.ascontiguousarray(self.shapedirs.reshape(-1, self.num_betas).T),
            "_expression_matrix": np.ascontiguousarray(
                self.exprdirs.reshape(-1, self.num_expression).T
            ),
            "_joint_template": (self.joint_regressor @ self.v_template).astype(np.float32),
            "_joint_dirs": joint_dirs.reshape(joints, 3, -1).astype(np.float32),
        }
        for name, value in fixed.items():
            object.__setattr__(self, name, value)

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
        orientation = self.tree.orientations(rotation_matrices(pose))
        return self.tree.positions(orientation, self.tree.bones(rest)) + transl[:, None]

    def vertices(self, pose: Array, betas: Array, expression: Array, transl: Array) -> Array:
        """(B, V, 3) float32 mesh vertices in metres, in the frame of `transl`.

        `pose` (B, J, 3) axis-angle relative to the parent, global_orient first; `betas`
        (B, num_betas); `expression` (B, num_expression); `transl` (B, 3).
        """
        shaped = self.shaped_template(betas, expression)
        rotations = rotation_matrices(pose)
        if self.posedirs is not None:
            feature = (rotations[:, 1:] - np.eye(3, dtype=np.float32)).reshape(len(pose), -1)
            shaped += (feature @ self.posedirs).reshape(shaped.shape)
        rest = self.rest_joints(betas, expression)
        orientation = self.tree.orientations(rotations)
        position = self.tree.positions(orientation, self.tree.bones(rest))
        offset = position - (orientation @ rest[..., None])[..., 0] + transl[:, None]
        transforms = np.concatenate([orientation, offset[..., None]], axis=3)
        return skin(self.weights, transforms, shaped)

    def shaped_template(self, betas: Array, expression: Array) -> Array:
        """(B, V, 3) the body in the T-pose with its shape and expression."""
        # einsum, not BLAS: these products are too small for the threads that BLAS would wake.
        moved: Array = np.einsum("bk,kv->bv", betas, self._shape_matrix)
        shaped = moved.reshape(len(betas), *self.v_template.shape)
        shaped += self.v_template
        if expression.any():
            moved = np.einsum("bk,kv->bv", expression, self._expression_matrix)
            shaped[:, self.exprdirs_vertices] += moved.reshape(-1, *self.exprdirs.shape[:2])
        return shaped


def skin(weights: sparse.csr_array, transforms: Array, vertices: Array) -> Array:
    """Linear blend skinning: (B, V, 3) vertices moved by their joints' blended transforms.

    `weights` (V, J) sparse, `transforms` (B, J, 3, 4), `vertices` (B, V, 3).
    """
    skinned = np.empty_like(vertices)
    # Person by person: one person's blended transforms stay in the processor's cache.
    for transform, vertex, out in zip(transforms, vertices, skinned, strict=True):
        blended = weights @ transform.reshape(-1, 12)
        for axis in range(3):
            row = blended[:, 4 * axis : 4 * axis + 4]
            moved = row[:, 0] * vertex[:, 0]
            moved += row[:, 1] * vertex[:, 1]
            moved += row[:, 2] * vertex[:, 2]
            moved += row[:, 3]
            out[:, axis] = moved
    return skinned
