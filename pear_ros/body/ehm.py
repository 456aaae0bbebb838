# SPDX-License-Identifier: Apache-2.0
"""EhmBody: an SMPL-X body with a scaled FLAME head, the body of PEAR (EHM-s, arXiv 2601.22693).

FLAME is posed, its eyelids closed, its axes scaled, and set with its eyes where SMPL-X has them,
in place of SMPL-X's own head; neck and boundary stay SMPL-X's. The joints are regressed again from
that template, and the whole is posed as SMPL-X is. Works on NumPy arrays and on torch tensors
alike, batched over people. What the model files fix is computed once: joints depend on the
coefficients, and on the few vertices of the head that they are regressed from.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from pear_ros.body.ehm_head import FlameHead, HeadPoints, PosedSkull, Skull, regressed_points
from pear_ros.body.ehm_parameters import EhmParameters
from pear_ros.body.flame import FlameModel
from pear_ros.body.kinematics import (
    AsArray,
    JointTree,
    Tensor,
    as_matrices,
    float32_array,
    namespace,
    rotation_matrices,
    take,
)
from pear_ros.body.model import BodyModel
from pear_ros.body.skinning import PoseFeature, Skin, make_skin, vertex_list

EHM_S = "ehm-s/1"
"""Name and version of the body, as published in HumanArray.body_model."""

_EYES = slice(23, 25)
"""SMPL-X's joints of the left and the right eye."""
_BENDING = [joint for joint in range(1, 55) if joint not in (22, 23, 24)]
"""Joints of SMPL-X that rotate: not jaw and eyes, which FLAME has."""


class EhmBody:
    """SMPL-X and FLAME as one body."""

    def __init__(
        self, smplx: BodyModel, flame: FlameModel, asarray: AsArray = float32_array
    ) -> None:
        """Compute the constants, converted by `asarray`."""
        self.name = EHM_S
        self.sha256 = smplx.sha256
        self.license_note = (
            "SMPL-X model licence, https://smpl-x.is.tue.mpg.de; "
            "FLAME model licence, https://flame.is.tue.mpg.de"
        )
        self.joint_names = smplx.joint_names
        self.parents = smplx.parents
        self.faces = smplx.faces
        self.vertex_count = smplx.vertex_count
        self.num_betas = smplx.num_betas
        self.num_expression = smplx.num_expression
        self.expression_names: tuple[str, ...] = ()

        # Internal order of vertices: SMPL-X's body, with those last that expressions move, then
        # FLAME's head.
        head = flame.smplx_vertices[flame.swapped]
        body = np.setdiff1d(np.arange(self.vertex_count), head)
        body = body[np.argsort(np.isin(body, smplx.exprdirs_vertices), kind="stable")]
        self._order = np.concatenate([body, head])
        self._body_count = len(body)

        self.smplx = smplx
        """SMPL-X, whose template (but for the head), triangles and weights this body has."""
        self.flame = flame
        """FLAME, the head."""
        self._asarray = asarray
        regressor = smplx.joint_regressor.toarray().astype(np.float64)
        eyes = regressor[_EYES].mean(axis=0, keepdims=True)
        of_head = regressor[:, head]
        # Few joints are regressed from the head, from few of its vertices.
        regressing = np.flatnonzero(of_head.any(axis=0))
        regressed = np.flatnonzero(of_head.any(axis=1))
        of_head = of_head[regressed][:, regressing]
        rows = np.flatnonzero(flame.swapped)[regressing]
        self._head_points = HeadPoints(flame, rows, of_head, asarray)
        self._head_share = asarray(of_head.sum(axis=1, keepdims=True))
        self._regressed = asarray(np.eye(len(regressor))[:, regressed])
        regressor[:, head] = 0.0
        points = np.concatenate([regressor, eyes])
        self._points = regressed_points(points, smplx.v_template, smplx.directions, asarray)
        self._skull = Skull(flame, asarray)
        self._tree = JointTree(self.parents, asarray)

    def on(self, asarray: AsArray) -> EhmBody:
        """Return the same body that computes with constants converted by `asarray`."""
        return EhmBody(self.smplx, self.flame, asarray)

    def faces_of(self, detail: str) -> npt.NDArray[np.int32]:
        """Return the triangles (F', 3) of the mesh in a level of detail.

        `detail`: one of MESH_DETAILS in pear_ros.core.parameters. The triangles index the same
        vertices as `faces`, and are equal to `faces` where SMPL-X came without
        reduced meshes.
        """
        return self.smplx.faces_of(detail)

    def joints(self, people: EhmParameters) -> Tensor:
        """Compute the posed joints (B, 55, 3), metres, without the mesh."""
        rest = self.rest_joints(people)
        return self._tree.posed(as_matrices(people.pose), rest) + people.transl[:, None]

    def heights(self, betas: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Compute the standing heights (B,), metres, with SMPL-X's head; `betas` (B, num_betas)."""
        return self.smplx.heights(betas)

    def rest_joints(self, people: EhmParameters) -> Tensor:
        """Compute the joints (B, 55, 3) of the T-pose, metres."""
        skull = self._skull(people, rotation_matrices(_turning(people)))
        return self._rest_joints(people, skull, self._points(_coefficients(people)))

    def vertices(self, people: EhmParameters) -> Tensor:
        """Compute the vertices (B, V, 3) of the mesh, metres, in SMPL-X's order."""
        xp = namespace(people.betas)
        rotations, turned = _all_rotations(people)
        skull = self._skull(people, turned)
        points = self._points(_coefficients(people))
        head = self._head(people, skull) + _shift(points, skull)[..., None]
        rest = self._rest_joints(people, skull, points)
        transforms = self._tree.transforms(rotations, rest, people.transl)
        feature = self._feature(rotations)
        # Expressions last, as they move few vertices.
        coefficients = xp.concat([people.betas, feature, people.expression], axis=1)
        parts = [
            self._body_skin(coefficients, self._template, transforms),
            self._head_skin(feature, head, transforms),
        ]
        return vertex_list(take(xp.concat(parts, axis=2), self._place, 2))

    def _rest_joints(self, people: EhmParameters, skull: PosedSkull, points: Tensor) -> Tensor:
        """Return the T-pose joints (B, 55, 3): share of the body plus that of the head."""
        shift = self._head_share * _shift(points, skull)[:, None]
        return points[:, :-1] + self._regressed @ (self._head_points(people, skull) + shift)

    # Computed on first use: joints alone do not need them.

    @cached_property
    def _feature(self) -> PoseFeature:
        return PoseFeature(_BENDING, self._asarray)

    @cached_property
    def _body_skin(self) -> Skin:
        of_body = self._order[: self._body_count]
        shapes, expressions = np.split(self.smplx.directions[of_body], [self.num_betas], axis=2)
        directions = np.concatenate([shapes, self._posedirs(of_body), expressions], axis=2)
        return make_skin(directions, self.smplx.weights[of_body].toarray(), self._asarray)

    @cached_property
    def _head_skin(self) -> Skin:
        of_head = self._order[self._body_count :]
        weights = self.smplx.weights[of_head].toarray()
        return make_skin(self._posedirs(of_head), weights, self._asarray)

    def _posedirs(self, vertices: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        assert self.smplx.posedirs is not None
        chosen: npt.NDArray[np.float32] = self.smplx.posedirs[vertices][:, :, self._feature.columns]
        return chosen

    @cached_property
    def _template(self) -> Tensor:
        return self._asarray(self.smplx.v_template[self._order[: self._body_count]].T[None])

    @cached_property
    def _place(self) -> Tensor:
        return self._asarray(np.argsort(self._order))

    @cached_property
    def _head(self) -> FlameHead:
        return FlameHead(self.flame, np.flatnonzero(self.flame.swapped), self._asarray)


def _coefficients(people: EhmParameters) -> Tensor:
    xp = namespace(people.betas)
    return xp.concat([people.betas, people.expression], axis=1)


def _turning(people: EhmParameters) -> Tensor:
    """Return the axis-angle vectors (B, 3, 3) of FLAME's jaw and eyes."""
    xp = namespace(people.jaw)
    return xp.concat([people.jaw, people.eyes], axis=1).reshape(len(people.jaw), 3, 3)


def _all_rotations(people: EhmParameters) -> tuple[Tensor, Tensor]:
    """Return the matrices of the pose (B, 55, 3, 3) and of FLAME's jaw and eyes (B, 3, 3, 3)."""
    if people.pose.ndim == 4:
        return people.pose, rotation_matrices(_turning(people))
    xp = namespace(people.pose)
    joints = people.pose.shape[1]
    rotations = rotation_matrices(xp.concat([people.pose, _turning(people)], axis=1))
    return rotations[:, :joints], rotations[:, joints:]


def _shift(points: Tensor, skull: PosedSkull) -> Tensor:
    """Return the shift (B, 3) from FLAME's frame to SMPL-X's that keeps the eyes' middle."""
    return points[:, -1] - skull.between_eyes
