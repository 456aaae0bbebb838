# SPDX-License-Identifier: Apache-2.0
"""EHM-s: an SMPL-X body with a scaled FLAME head, the body of PEAR (arXiv 2601.22693).

FLAME is posed, its eyelids closed, its axes scaled, and set with its eyes where SMPL-X has them,
in place of SMPL-X's own head; neck and boundary stay SMPL-X's. The joints are regressed again from
that template, and the whole is posed as SMPL-X is. Works on NumPy arrays and on torch tensors
alike, batched over people. What the model files fix is computed once: joints depend on the
coefficients, and on the few vertices of the head that they are regressed from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from pear_ros.body.blending import Directions, RestPoints
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

_EYES = slice(23, 25)
"""SMPL-X's joints of the left and the right eye."""
_BENDING = [joint for joint in range(1, 55) if joint not in (22, 23, 24)]
"""Jaw and eyes of SMPL-X stay as they are: FLAME's move."""
_FLAME_EYES = slice(3, 5)
_FLAME_BENDING = slice(2, 5)
"""Jaw and eyes; EHM-s turns neither FLAME as a whole nor its neck."""


@dataclass(frozen=True)
class EhmParameters:
    """Parameters of B people, as NumPy arrays or as torch tensors."""

    pose: Tensor
    """(B, 55, 3, 3) rotations of SMPL-X's joints relative to their parents, or (B, 55, 3) the same
    as axis-angle; jaw and eyes at rest."""
    betas: Tensor
    """(B, num_betas) shape of SMPL-X."""
    expression: Tensor
    """(B, num_expression) expression of SMPL-X."""
    flame_shape: Tensor
    """(B, 300)"""
    flame_expression: Tensor
    """(B, 50)"""
    jaw: Tensor
    """(B, 3) axis-angle, FLAME's."""
    eyes: Tensor
    """(B, 6) axis-angle, FLAME's left eye, then its right."""
    eyelids: Tensor
    """(B, 2) left, right."""
    head_scale: Tensor
    """(B, 3) along FLAME's axes, about its origin."""
    transl: Tensor
    """(B, 3) metres, added to the posed body."""


class EhmBody:
    """SMPL-X and FLAME as one body."""

    def __init__(
        self, smplx: BodyModel, flame: FlameModel, asarray: AsArray = float32_array
    ) -> None:
        """Compute the constants; they live where `asarray` takes them."""
        self.name = "ehm-s/1"
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

        # Vertices are kept in an order of their own: SMPL-X's body, those last that expressions
        # move, then FLAME's head.
        head = flame.smplx_vertices[flame.swapped]
        body = np.setdiff1d(np.arange(self.vertex_count), head)
        body = body[np.argsort(np.isin(body, smplx.exprdirs_vertices), kind="stable")]
        self._order = np.concatenate([body, head])
        self._body_count = len(body)

        self._smplx, self._flame, self._asarray = smplx, flame, asarray
        regressor = smplx.joint_regressor.toarray().astype(np.float64)
        eyes = regressor[_EYES].mean(axis=0, keepdims=True)
        of_head = regressor[:, head]
        regressing = np.flatnonzero(of_head.any(axis=0))
        self._regressing = asarray(regressing)
        self._head_regressor = asarray(of_head[:, regressing].T)
        self._regressing_head = FlameHead(flame, np.flatnonzero(flame.swapped)[regressing], asarray)
        regressor[:, head] = 0.0
        points = np.concatenate([regressor, eyes])
        self._points = _regressed(points, smplx.v_template, smplx.directions, asarray)
        self._skull = Skull(flame, asarray)
        self._tree = JointTree(self.parents, asarray)

    def on(self, asarray: AsArray) -> EhmBody:
        """The same body with its constants where `asarray` takes them."""
        return EhmBody(self._smplx, self._flame, asarray)

    def faces_of(self, detail: str) -> npt.NDArray[np.int32]:
        """Return the triangles (F', 3) of the mesh in a level of detail.

        `detail`: one of MESH_DETAILS in pear_ros.core.parameters. The triangles index the same
        vertices as `faces`, and are equal to `faces` where SMPL-X came without
        reduced meshes.
        """
        return self._smplx.faces_of(detail)

    def joints(self, people: EhmParameters) -> Tensor:
        """(B, 55, 3) posed joints in metres, without computing any mesh."""
        rest = self.rest_joints(people)
        return self._tree.posed(as_matrices(people.pose), rest) + people.transl[:, None]

    def heights(self, betas: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(B,) metres, standing, with SMPL-X's own head; `betas` (B, num_betas), NumPy."""
        return self._smplx.heights(betas)

    def rest_joints(self, people: EhmParameters) -> Tensor:
        """(B, 55, 3) joints of the body before it is posed."""
        skull = self._skull(people, rotation_matrices(_turning(people)))
        points = self._points(_coefficients(people))
        head = self._regressing_head(people, skull) + _shift(points, skull)
        return self._rest_joints(points, head)

    def vertices(self, people: EhmParameters) -> Tensor:
        """(B, V, 3) vertices of the mesh in metres, in SMPL-X's order."""
        xp = namespace(people.betas)
        rotations, turned = _all_rotations(people)
        skull = self._skull(people, turned)
        points = self._points(_coefficients(people))
        head = self._head(people, skull) + _shift(points, skull)
        rest = self._rest_joints(points, take(head, self._regressing, 2))
        transforms = self._tree.transforms(rotations, rest, people.transl)
        feature = self._feature(rotations)
        # Expressions last, as they move few vertices.
        coefficients = xp.concat([people.betas, feature, people.expression], axis=1)
        parts = [
            self._body_skin(coefficients, self._template, transforms),
            self._head_skin(feature, head, transforms),
        ]
        return vertex_list(take(xp.concat(parts, axis=2), self._place, 2))

    def _rest_joints(self, points: Tensor, head: Tensor) -> Tensor:
        """(B, 55, 3) given what of them the body makes, and the head's vertices that make more."""
        return points[:, :-1] + (head @ self._head_regressor).swapaxes(1, 2)

    # Made when they are first needed: whoever wants joints alone does without the mesh.

    @cached_property
    def _feature(self) -> PoseFeature:
        return PoseFeature(_BENDING, self._asarray)

    @cached_property
    def _body_skin(self) -> Skin:
        of_body = self._order[: self._body_count]
        shapes, expressions = np.split(self._smplx.directions[of_body], [self.num_betas], axis=2)
        directions = np.concatenate([shapes, self._posedirs(of_body), expressions], axis=2)
        return make_skin(directions, self._smplx.weights[of_body].toarray(), self._asarray)

    @cached_property
    def _head_skin(self) -> Skin:
        of_head = self._order[self._body_count :]
        weights = self._smplx.weights[of_head].toarray()
        return make_skin(self._posedirs(of_head), weights, self._asarray)

    def _posedirs(self, vertices: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
        assert self._smplx.posedirs is not None
        chosen: npt.NDArray[np.float32] = self._smplx.posedirs[vertices][
            :, :, self._feature.columns
        ]
        return chosen

    @cached_property
    def _template(self) -> Tensor:
        return self._asarray(self._smplx.v_template[self._order[: self._body_count]].T[None])

    @cached_property
    def _place(self) -> Tensor:
        return self._asarray(np.argsort(self._order))

    @cached_property
    def _head(self) -> FlameHead:
        return FlameHead(self._flame, np.flatnonzero(self._flame.swapped), self._asarray)


@dataclass(frozen=True)
class PosedSkull:
    """What all of FLAME's vertices have in common, of B people."""

    coefficients: Tensor
    """(B, 377) of FLAME's shapes and expressions, and of its pose-corrective offsets."""
    transforms: Tensor
    """(B, 5, 3, 4) of its joints, from the T-pose to the pose."""
    between_eyes: Tensor
    """(B, 3) mean of the eyes' joints, not scaled."""


class Skull:
    """FLAME's joints."""

    def __init__(self, flame: FlameModel, asarray: AsArray) -> None:
        regressor = flame.joint_regressor
        between = regressor[_FLAME_EYES].mean(axis=0, keepdims=True)
        points = np.concatenate([regressor, between])
        self._joints = _regressed(points, flame.v_template, flame.shapedirs, asarray)
        self._still = asarray(np.eye(3)[None, None])

    def __call__(self, people: EhmParameters, turned: Tensor) -> PosedSkull:
        """`turned` (B, 3, 3, 3): rotations of the jaw and both eyes."""
        xp = namespace(turned)
        count = len(turned)
        shape = xp.concat([people.flame_shape, people.flame_expression], axis=1)
        # Neither the neck nor FLAME as a whole turns, so jaw and eyes turn about where they rest.
        points = self._joints(shape)
        rest = points[:, :-1, :, None]
        still = xp.broadcast_to(self._still, (count, _FLAME_BENDING.start, 3, 3))
        rotations = xp.concat([still, turned], axis=1)
        feature = (turned - self._still).reshape(count, 27)
        return PosedSkull(
            xp.concat([shape, feature], axis=1),
            xp.concat([rotations, rest - rotations @ rest], axis=3),
            points[:, -1],
        )


class FlameHead:
    """Some vertices of FLAME, posed as EHM-s does it."""

    def __init__(self, flame: FlameModel, rows: npt.NDArray[np.integer], asarray: AsArray) -> None:
        """`rows`: the n vertices that are wanted."""
        correctives = flame.posedirs[rows][:, :, 9 * (_FLAME_BENDING.start - 1) :]
        directions = np.concatenate([flame.shapedirs[rows], correctives], axis=2)
        self._skin = make_skin(directions, flame.weights[rows], asarray)
        self._template = asarray(flame.v_template[rows].T[None])
        self._eyelids = Directions(flame.eyelids[:, rows].transpose(1, 2, 0), asarray)

    def __call__(self, people: EhmParameters, skull: PosedSkull) -> Tensor:
        """(B, 3, n) vertices in FLAME's frame, scaled."""
        posed = self._skin(skull.coefficients, self._template, skull.transforms)
        return (posed + self._eyelids(people.eyelids)) * people.head_scale[..., None]


def _regressed(
    regressor: npt.NDArray[Any],
    template: npt.NDArray[Any],
    directions: npt.NDArray[Any],
    asarray: AsArray,
) -> RestPoints:
    """The points of a `regressor` (P, V) of a mesh (V, 3) with `directions` (V, 3, K)."""
    matrix = regressor.astype(np.float64)
    moved = matrix @ directions.reshape(len(template), -1).astype(np.float64)
    return RestPoints(matrix @ template, moved.reshape(len(matrix), 3, -1), asarray)


def _coefficients(people: EhmParameters) -> Tensor:
    xp = namespace(people.betas)
    return xp.concat([people.betas, people.expression], axis=1)


def _turning(people: EhmParameters) -> Tensor:
    """(B, 3, 3) axis-angle of FLAME's jaw and eyes."""
    xp = namespace(people.jaw)
    return xp.concat([people.jaw, people.eyes], axis=1).reshape(len(people.jaw), 3, 3)


def _all_rotations(people: EhmParameters) -> tuple[Tensor, Tensor]:
    """Matrices of the pose (B, 55, 3, 3), and of FLAME's jaw and eyes (B, 3, 3, 3)."""
    if people.pose.ndim == 4:
        return people.pose, rotation_matrices(_turning(people))
    xp = namespace(people.pose)
    joints = people.pose.shape[1]
    rotations = rotation_matrices(xp.concat([people.pose, _turning(people)], axis=1))
    return rotations[:, :joints], rotations[:, joints:]


def _shift(points: Tensor, skull: PosedSkull) -> Tensor:
    """(B, 3, 1) from FLAME's frame to SMPL-X's: the middle between the eyes stays in place."""
    return (points[:, -1] - skull.between_eyes)[..., None]
