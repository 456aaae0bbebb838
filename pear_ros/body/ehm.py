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
        directions = smplx.directions
        self._eyes = _regressed(eyes, smplx.v_template, directions, asarray)
        self._body_joints = _regressed(
            regressor[:, body], smplx.v_template[body], directions[body], asarray
        )
        of_head = regressor[:, head]
        regressing = np.flatnonzero(of_head.any(axis=0))
        self._regressing = asarray(regressing)
        self._head_regressor = asarray(of_head[:, regressing].T)
        self._regressing_head = FlameHead(flame, np.flatnonzero(flame.swapped)[regressing], asarray)
        self._tree = JointTree(self.parents, asarray)

    def joints(self, people: EhmParameters) -> Tensor:
        """(B, 55, 3) posed joints in metres, without computing any mesh."""
        rest = self.rest_joints(people)
        return self._tree.posed(as_matrices(people.pose), rest) + people.transl[:, None]

    def rest_joints(self, people: EhmParameters) -> Tensor:
        """(B, 55, 3) joints of the body before it is posed."""
        head = self._regressing_head(people) + self._head_shift(people)
        return self._rest_joints(people, head)

    def vertices(self, people: EhmParameters) -> Tensor:
        """(B, V, 3) vertices of the mesh in metres, in SMPL-X's order."""
        xp = namespace(people.betas)
        rotations = as_matrices(people.pose)
        head = self._head(people) + self._head_shift(people)
        rest = self._rest_joints(people, xp.take(head, self._regressing, axis=2))
        transforms = self._tree.transforms(rotations, rest, people.transl)
        feature = self._feature(rotations)
        # Expressions last, as they move few vertices.
        coefficients = xp.concat([people.betas, feature, people.expression], axis=1)
        parts = [
            self._body_skin(coefficients, self._template, transforms),
            self._head_skin(feature, head, transforms),
        ]
        planes = xp.concat(parts, axis=2)
        return vertex_list(xp.take(planes, self._place, axis=2))

    def _rest_joints(self, people: EhmParameters, head: Tensor) -> Tensor:
        """(B, 55, 3) given those of the head's vertices from which joints are regressed."""
        of_head = (head @ self._head_regressor).swapaxes(1, 2)
        return self._body_joints(_coefficients(people)) + of_head

    def _head_shift(self, people: EhmParameters) -> Tensor:
        """(B, 3, 1) from FLAME's frame to SMPL-X's: the middle between the eyes stays in place."""
        eyes = self._eyes(_coefficients(people))[:, 0]
        return (eyes - self._regressing_head.between_eyes(people))[..., None]

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


class FlameHead:
    """Some vertices of FLAME, posed as EHM-s does it."""

    def __init__(self, flame: FlameModel, rows: npt.NDArray[np.integer], asarray: AsArray) -> None:
        """`rows`: the n vertices that are wanted."""
        correctives = flame.posedirs[rows][:, :, 9 * (_FLAME_BENDING.start - 1) :]
        directions = np.concatenate([flame.shapedirs[rows], correctives], axis=2)
        self._skin = make_skin(directions, flame.weights[rows], asarray)
        self._template = asarray(flame.v_template[rows].T[None])
        self._eyelids = Directions(flame.eyelids[:, rows].transpose(1, 2, 0), asarray)
        self._joints = _regressed(flame.joint_regressor, flame.v_template, flame.shapedirs, asarray)
        self._still = asarray(np.eye(3, 4)[None, None])
        self._identity = asarray(np.eye(3))

    def __call__(self, people: EhmParameters) -> Tensor:
        """(B, 3, n) vertices in FLAME's frame, scaled."""
        xp = namespace(people.jaw)
        return self.unscaled(people) * xp.expand_dims(people.head_scale, axis=2)

    def unscaled(self, people: EhmParameters) -> Tensor:
        """(B, 3, n) vertices in FLAME's frame before the head is scaled."""
        xp = namespace(people.jaw)
        count = len(people.jaw)
        shape = _head_coefficients(people)
        # Neither the neck nor FLAME as a whole turns, so jaw and eyes turn about where they rest.
        turning = xp.concat([people.jaw, people.eyes], axis=1).reshape(count, 3, 3)
        rotations = rotation_matrices(turning)
        rest = self._joints(shape)[:, _FLAME_BENDING, :, None]
        turned = xp.concat([rotations, rest - rotations @ rest], axis=3)
        still = xp.broadcast_to(self._still, (count, 2, 3, 4))
        transforms = xp.concat([still, turned], axis=1)
        feature = (rotations - self._identity).reshape(count, 27)
        coefficients = xp.concat([shape, feature], axis=1)
        posed = self._skin(coefficients, self._template, transforms)
        return posed + self._eyelids(people.eyelids)

    def between_eyes(self, people: EhmParameters) -> Tensor:
        """(B, 3) mean of the eyes' joints, not scaled."""
        # Neither the neck nor FLAME as a whole turns, so the posed joints are those at rest.
        return self._joints(_head_coefficients(people))[:, _FLAME_EYES].sum(axis=1) / 2.0


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


def _head_coefficients(people: EhmParameters) -> Tensor:
    xp = namespace(people.betas)
    return xp.concat([people.flame_shape, people.flame_expression], axis=1)
