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
from typing import Any

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

from pear_ros.body.blending import Directions, RestPoints
from pear_ros.body.flame import PARENTS, FlameModel
from pear_ros.body.kinematics import AsArray, Tensor, as_matrices, float32_array, rotation_matrices
from pear_ros.body.model import BodyModel
from pear_ros.body.skinning import Skin, vertex_list

_EYES = slice(23, 25)
"""SMPL-X's joints of the left and the right eye."""
_BENDING = [joint for joint in range(1, 55) if joint not in (22, 23, 24)]
"""Jaw and eyes of SMPL-X stay as they are: FLAME's move."""
_FLAME_EYES = slice(3, 5)
_FLAME_BENDING = (2, 3, 4)
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

        # Vertices are kept in an order of their own: the body that no expression moves, the rest of
        # the body, the head.
        head = flame.smplx_vertices[flame.swapped]
        body = np.setdiff1d(np.arange(self.vertex_count), head)
        moves = np.isin(body, smplx.exprdirs_vertices)
        body = np.concatenate([body[~moves], body[moves]])
        order = np.concatenate([body, head])
        self._place = asarray(np.argsort(order))
        self._unmoved = int((~moves).sum())

        assert smplx.posedirs is not None
        weights = smplx.weights.toarray()
        self._skin = Skin(self.parents, weights[order], smplx.posedirs[order], asarray, _BENDING)
        self._template = asarray(smplx.v_template[body].T)
        self._shapes = Directions(smplx.shapedirs[body], asarray)
        expression = np.zeros((*smplx.v_template.shape, self.num_expression), np.float32)
        expression[smplx.exprdirs_vertices] = smplx.exprdirs
        self._expressions = Directions(expression[body[self._unmoved :]], asarray)

        regressor = smplx.joint_regressor.toarray().astype(np.float64)
        directions = np.concatenate([smplx.shapedirs, expression], axis=2)
        eyes = regressor[_EYES].mean(axis=0, keepdims=True)
        self._eyes = _regressed(eyes, smplx.v_template, directions, asarray)
        self._joints = _regressed(
            regressor[:, body], smplx.v_template[body], directions[body], asarray
        )
        flame_rows = np.flatnonzero(flame.swapped)
        of_joints = regressor[:, head].any(axis=0)
        self._head = FlameHead(flame, flame_rows, asarray)
        self._head_of_joints = FlameHead(flame, flame_rows[of_joints], asarray)
        self._head_regressor = asarray(regressor[:, head[of_joints]].T)

    def joints(self, people: EhmParameters) -> Tensor:
        """(B, 55, 3) posed joints in metres, without computing any mesh."""
        return self._skin.joints(as_matrices(people.pose), self.rest_joints(people), people.transl)

    def vertices(self, people: EhmParameters) -> Tensor:
        """(B, V, 3) vertices of the mesh in metres, in SMPL-X's order."""
        planes = self._skin.vertices(
            as_matrices(people.pose), self._tpose(people), self.rest_joints(people), people.transl
        )
        return self._in_order(planes)

    def tpose(self, people: EhmParameters) -> Tensor:
        """(B, V, 3) the body with its head before it is posed, in SMPL-X's order."""
        return self._in_order(self._tpose(people))

    def rest_joints(self, people: EhmParameters) -> Tensor:
        """(B, 55, 3) joints of that body."""
        xp = array_namespace(people.betas)
        head = self._head_of_joints(people) + self._head_shift(people)[..., None]
        coefficients = xp.concat([people.betas, people.expression], axis=1)
        return self._joints(coefficients) + (head @ self._head_regressor).swapaxes(1, 2)

    def _tpose(self, people: EhmParameters) -> Tensor:
        xp = array_namespace(people.betas)
        body = self._shapes(people.betas) + self._template
        mimic = body[:, :, self._unmoved :] + self._expressions(people.expression)
        head = self._head(people) + self._head_shift(people)[..., None]
        return xp.concat([body[:, :, : self._unmoved], mimic, head], axis=2)

    def _head_shift(self, people: EhmParameters) -> Tensor:
        """(B, 3) from FLAME's frame to SMPL-X's: the middle between the eyes stays in place."""
        xp = array_namespace(people.betas)
        coefficients = xp.concat([people.betas, people.expression], axis=1)
        return self._eyes(coefficients)[:, 0] - self._head.between_eyes(people)

    def _in_order(self, planes: Tensor) -> Tensor:
        xp = array_namespace(planes)
        return vertex_list(xp.take(planes, self._place, axis=2))


class FlameHead:
    """Some vertices of FLAME, posed as EHM-s does it."""

    def __init__(self, flame: FlameModel, rows: npt.NDArray[np.integer], asarray: AsArray) -> None:
        """`rows`: the n vertices that are wanted."""
        self._template = asarray(flame.v_template[rows].T)
        self._directions = Directions(flame.shapedirs[rows], asarray)
        self._eyelids = Directions(flame.eyelids[:, rows].transpose(1, 2, 0), asarray)
        self._skin = Skin(
            PARENTS, flame.weights[rows], flame.posedirs[rows], asarray, _FLAME_BENDING
        )
        self._joints = _regressed(flame.joint_regressor, flame.v_template, flame.shapedirs, asarray)
        self._still = asarray(np.broadcast_to(np.eye(3), (1, 2, 3, 3)))

    def __call__(self, people: EhmParameters) -> Tensor:
        """(B, 3, n) vertices in FLAME's frame, scaled."""
        xp = array_namespace(people.jaw)
        return self.unscaled(people) * xp.expand_dims(people.head_scale, axis=2)

    def unscaled(self, people: EhmParameters) -> Tensor:
        """(B, 3, n) vertices in FLAME's frame before the head is scaled."""
        xp = array_namespace(people.jaw)
        count = len(people.jaw)
        still = xp.broadcast_to(self._still, (count, 2, 3, 3))
        turning = xp.concat([people.jaw, people.eyes], axis=1).reshape(count, 3, 3)
        rotations = xp.concat([still, rotation_matrices(turning)], axis=1)
        coefficients = self._coefficients(people)
        template = self._template + self._directions(coefficients)
        nowhere = xp.zeros_like(people.transl)
        posed = self._skin.vertices(rotations, template, self._joints(coefficients), nowhere)
        return posed + self._eyelids(people.eyelids)

    def between_eyes(self, people: EhmParameters) -> Tensor:
        """(B, 3) mean of the eyes' joints, not scaled."""
        # Neither the neck nor FLAME as a whole turns, so the posed joints are those at rest.
        return self._joints(self._coefficients(people))[:, _FLAME_EYES].sum(axis=1) / 2.0

    @staticmethod
    def _coefficients(people: EhmParameters) -> Tensor:
        xp = array_namespace(people.jaw)
        return xp.concat([people.flame_shape, people.flame_expression], axis=1)


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
