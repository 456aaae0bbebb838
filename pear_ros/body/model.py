# SPDX-License-Identifier: Apache-2.0
"""BodyModel: a body in SMPL-X's layout, from parameters to joints and mesh, batched over people.

The function is that of SMPL (Loper et al., SIGGRAPH Asia 2015) and SMPL-X (Pavlakos et al., CVPR
2019): blend shapes, joints regressed from the shaped template, linear blend skinning. What the
model file determines is computed once: joints depend on the coefficients through a small linear
map, so that they are computed without the mesh.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from pear_ros.body.blending import Directions, RestPoints
from pear_ros.body.kinematics import (
    Array,
    AsArray,
    JointTree,
    Tensor,
    as_matrices,
    float32_array,
    namespace,
)
from pear_ros.body.skinning import PoseFeature, Skin, make_skin, vertex_list


@dataclass(frozen=True)
class BodyModel:
    """Blend shapes, joint tree and skinning weights of one body (V vertices, F faces, J joints)."""

    name: str
    """Name and version, as published in HumanArray.body_model."""
    sha256: str
    """Hash of the model file, hexadecimal."""
    license_note: str
    """Licence under which the body may be used."""
    joint_names: tuple[str, ...]
    """Names of the J joints."""
    parents: npt.NDArray[np.int32]
    """(J,) parent of each joint, -1 for the root."""
    faces: npt.NDArray[np.int32]
    """(F, 3) vertex indices, counter-clockwise seen from outside."""
    v_template: Array
    """(V, 3) the mean body in the T-pose, metres, y up, facing +z."""
    shapedirs: Array
    """(V, 3, num_betas) vertex offsets per unit of shape."""
    exprdirs: Array
    """(n, 3, num_expression) offsets per unit of expression of the n vertices that it moves."""
    exprdirs_vertices: npt.NDArray[np.intp]
    """(n,) indices of those vertices."""
    expression_names: tuple[str, ...]
    """One name for each expression coefficient; empty where they have none."""
    joint_regressor: sparse.csr_array
    """(J, V) joints of the T-pose as weighted means of vertices."""
    weights: sparse.csr_array
    """(V, J) skinning weights; rows sum to 1."""
    posedirs: Array | None = None
    """(V, 3, 9 (J - 1)) pose-corrective offsets, row-major; None where the body has none."""
    head_at_rest: bool = False
    """Whether jaw and eyes stay at rest, as predictions of them are for another head."""
    reduced_faces: Mapping[str, npt.NDArray[np.int32]] = field(default_factory=dict, repr=False)
    """(F', 3) triangles of meshes with fewer of them, by names in
    pear_ros.core.parameters.MESH_DETAILS."""
    asarray: AsArray = field(default=float32_array, repr=False)
    """Converts the constants of joints and vertices; the arrays above are NumPy's."""

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

    def faces_of(self, detail: str) -> npt.NDArray[np.int32]:
        """Return the triangles (F', 3) of the mesh in a level of detail.

        `detail`: one of MESH_DETAILS in pear_ros.core.parameters. The triangles index the same
        vertices as `faces`, and are equal to `faces` where the body has no
        reduced mesh.
        """
        return self.reduced_faces.get(detail, self.faces)

    @cached_property
    def directions(self) -> Array:
        """(V, 3, num_betas + num_expression) movement of the vertices per coefficient."""
        expression = np.zeros((*self.v_template.shape, self.num_expression), np.float32)
        expression[self.exprdirs_vertices] = self.exprdirs
        return np.concatenate([self.shapedirs, expression], axis=2)

    @cached_property
    def joint_dirs(self) -> Array:
        """(J, 3, num_betas + num_expression) movement of the T-pose joints per coefficient."""
        moved: Array = self.joint_regressor @ self.directions.reshape(self.vertex_count, -1)
        return moved.reshape(len(self.parents), 3, -1)

    def on(self, asarray: AsArray) -> BodyModel:
        """Return the same body that computes with constants converted by `asarray`."""
        return replace(self, asarray=asarray)

    def rest_joints(self, betas: Tensor, expression: Tensor) -> Tensor:
        """Compute the joints (B, J, 3) of the T-pose, metres.

        `betas` (B, num_betas), `expression` (B, num_expression).
        """
        xp = namespace(betas)
        return self._rest_joints(xp.concat([betas, expression], axis=1))

    def joints(self, pose: Tensor, betas: Tensor, expression: Tensor, transl: Tensor) -> Tensor:
        """Compute the posed joints (B, J, 3), metres, in the frame of `transl`, without the mesh.

        `pose` (B, J, 3) axis-angle relative to the parent, global_orient first, or matrices
        (B, J, 3, 3); `betas` (B, num_betas); `expression` (B, num_expression); `transl` (B, 3).
        """
        rest = self.rest_joints(betas, expression)
        return self._tree.posed(as_matrices(pose), rest) + transl[:, None]

    def vertices(self, pose: Tensor, betas: Tensor, expression: Tensor, transl: Tensor) -> Tensor:
        """Compute the vertices (B, V, 3) of the mesh, metres, in the frame of `transl`.

        `pose` (B, J, 3) axis-angle relative to the parent, global_orient first, or matrices
        (B, J, 3, 3); `betas` (B, num_betas); `expression` (B, num_expression); `transl` (B, 3).
        """
        xp = namespace(betas)
        rotations = as_matrices(pose)
        transforms = self._tree.transforms(rotations, self.rest_joints(betas, expression), transl)
        if self.posedirs is None:
            # Shapes are few, and expressions move few vertices: the template is blended here.
            template = self._template + self._shapes(betas)
            template[:, :, self._expressive] += self._expressions(expression)
            return vertex_list(self._skin(betas[:, :0], template, transforms))
        coefficients = xp.concat([betas, expression, self._feature(rotations)], axis=1)
        return vertex_list(self._skin(coefficients, self._template, transforms))

    def heights(self, betas: Array) -> Array:
        """Compute the heights (B,), metres, from lowest to highest vertex of the T-pose.

        `betas` (B, num_betas), NumPy; expressions do not change the height.
        """
        up = self.v_template[:, 1] + betas @ self.shapedirs[:, 1].T
        heights: Array = np.ptp(up, axis=1)
        return heights

    # Computed on first use: joints alone need few of them.

    @cached_property
    def _tree(self) -> JointTree:
        return JointTree(self.parents, self.asarray)

    @cached_property
    def _feature(self) -> PoseFeature:
        return PoseFeature(list(range(1, len(self.parents))), self.asarray)

    @cached_property
    def _skin(self) -> Skin:
        directions: Array = np.empty((self.vertex_count, 3, 0), np.float32)
        if self.posedirs is not None:
            directions = np.concatenate([self.directions, self.posedirs], axis=2)
        return make_skin(directions, self.weights.toarray(), self.asarray)

    @cached_property
    def _rest_joints(self) -> RestPoints:
        template = self.joint_regressor @ self.v_template
        return RestPoints(template, self.joint_dirs, self.asarray)

    @cached_property
    def _template(self) -> Tensor:
        return self.asarray(self.v_template.T[None])

    @cached_property
    def _shapes(self) -> Directions:
        return Directions(self.shapedirs, self.asarray)

    @cached_property
    def _expressions(self) -> Directions:
        return Directions(self.exprdirs, self.asarray)

    @cached_property
    def _expressive(self) -> Tensor:
        return self.asarray(self.exprdirs_vertices)
