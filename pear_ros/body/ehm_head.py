# SPDX-License-Identifier: Apache-2.0
"""The FLAME head of EHM-s: posed, its eyelids closed, its axes scaled.

Works on NumPy arrays and on torch tensors alike, batched over people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pear_ros.body.blending import Directions, RestPoints
from pear_ros.body.ehm_parameters import EhmParameters
from pear_ros.body.flame import FlameModel
from pear_ros.body.kinematics import AsArray, Tensor, namespace
from pear_ros.body.skinning import make_skin

_FLAME_EYES = slice(3, 5)
"""Joints of FLAME's eyes."""
_FLAME_BENDING = slice(2, 5)
"""Joints of FLAME that rotate, jaw and eyes; EHM-s keeps FLAME's root and neck at rest."""


@dataclass(frozen=True)
class PosedSkull:
    """The quantities that all vertices of FLAME share, for B people."""

    coefficients: Tensor
    """(B, 377) of FLAME's shapes and expressions, and of its pose-corrective offsets."""
    transforms: Tensor
    """(B, 5, 3, 4) of its joints, from the T-pose to the pose."""
    between_eyes: Tensor
    """(B, 3) mean of the eyes' joints, not scaled."""


class Skull:
    """Poses FLAME's joints."""

    def __init__(self, flame: FlameModel, asarray: AsArray) -> None:
        regressor = flame.joint_regressor
        between = regressor[_FLAME_EYES].mean(axis=0, keepdims=True)
        points = np.concatenate([regressor, between])
        self._joints = regressed_points(points, flame.v_template, flame.shapedirs, asarray)
        self._still = asarray(np.eye(3)[None, None])

    def __call__(self, people: EhmParameters, turned: Tensor) -> PosedSkull:
        """Pose the joints; `turned` (B, 3, 3, 3): rotations of the jaw and both eyes."""
        xp = namespace(turned)
        count = len(turned)
        shape = xp.concat([people.flame_shape, people.flame_expression], axis=1)
        # Root and neck do not rotate, so that jaw and eyes rotate about their places at rest.
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
    """Poses some vertices of FLAME as in EHM-s."""

    def __init__(self, flame: FlameModel, rows: npt.NDArray[np.integer], asarray: AsArray) -> None:
        """Take the n vertices `rows` of `flame`."""
        self._skin = make_skin(_head_directions(flame, rows), flame.weights[rows], asarray)
        self._template = asarray(flame.v_template[rows].T[None])
        self._eyelids = Directions(flame.eyelids[:, rows].transpose(1, 2, 0), asarray)

    def __call__(self, people: EhmParameters, skull: PosedSkull) -> Tensor:
        """Compute the vertices (B, 3, n), metres, in FLAME's frame, scaled."""
        posed = self._skin(skull.coefficients, self._template, skull.transforms)
        return (posed + self._eyelids(people.eyelids)) * people.head_scale[..., None]


class HeadPoints:
    """Points regressed from vertices of FLAME, posed as in EHM-s, without the vertices.

    A point is sum_v r_v sum_k w_vk (R_k t_v + o_k) = sum_k R_k s_k + o_k m_k, with the regressor r,
    skinning weights w, the transforms [R_k | o_k] of FLAME's joints, and its share of each joint
    s_k = sum_v r_v w_vk t_v, as linear in the coefficients as the vertices t_v; m_k = sum r_v w_vk.
    """

    def __init__(
        self,
        flame: FlameModel,
        rows: npt.NDArray[np.integer],
        regressor: npt.NDArray[Any],
        asarray: AsArray,
    ) -> None:
        """Take the vertices `rows` (n,) of `flame` and `regressor` (P, n) of the points."""
        self._count = len(regressor)
        weights = flame.weights[rows].astype(np.float64)  # (n, 5)
        shares = (regressor[:, None] * weights.T).reshape(-1, len(rows))  # (P * 5, n)
        template = np.append(flame.v_template[rows], np.ones((len(rows), 1)), axis=1)
        directions = _head_directions(flame, rows).astype(np.float64)
        directions = np.append(directions, np.zeros_like(directions[:, :1]), axis=1)
        moved = shares @ directions.reshape(len(rows), -1)
        # (P * 5, 4): s_k and m_k.
        self._shares = RestPoints(shares @ template, moved.reshape(len(shares), 4, -1), asarray)
        lids = flame.eyelids[:, rows].transpose(1, 2, 0).astype(np.float64)
        lids = (regressor @ lids.reshape(len(rows), -1)).reshape(len(regressor), 3, 2)
        self._eyelids = RestPoints(np.zeros((len(regressor), 3)), lids, asarray)

    def __call__(self, people: EhmParameters, skull: PosedSkull) -> Tensor:
        """Compute the points (B, P, 3), metres, in FLAME's frame, scaled."""
        count, joints = skull.transforms.shape[:2]
        shares = self._shares(skull.coefficients).reshape(count, self._count, 4 * joints)
        posed = shares @ skull.transforms.swapaxes(2, 3).reshape(count, 4 * joints, 3)
        return (posed + self._eyelids(people.eyelids)) * people.head_scale[:, None]


def _head_directions(flame: FlameModel, rows: npt.NDArray[np.integer]) -> npt.NDArray[Any]:
    """Return the directions (n, 3, 377) of vertices: shape, expression, pose of jaw and eyes."""
    correctives = flame.posedirs[rows][:, :, 9 * (_FLAME_BENDING.start - 1) :]
    return np.concatenate([flame.shapedirs[rows], correctives], axis=2)


def regressed_points(
    regressor: npt.NDArray[Any],
    template: npt.NDArray[Any],
    directions: npt.NDArray[Any],
    asarray: AsArray,
) -> RestPoints:
    """Return the points of a `regressor` (P, V) for a mesh (V, 3) with directions (V, 3, K)."""
    matrix = regressor.astype(np.float64)
    moved = matrix @ directions.reshape(len(template), -1).astype(np.float64)
    return RestPoints(matrix @ template, moved.reshape(len(matrix), 3, -1), asarray)
