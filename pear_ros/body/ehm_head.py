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
        correctives = flame.posedirs[rows][:, :, 9 * (_FLAME_BENDING.start - 1) :]
        directions = np.concatenate([flame.shapedirs[rows], correctives], axis=2)
        self._skin = make_skin(directions, flame.weights[rows], asarray)
        self._template = asarray(flame.v_template[rows].T[None])
        self._eyelids = Directions(flame.eyelids[:, rows].transpose(1, 2, 0), asarray)

    def __call__(self, people: EhmParameters, skull: PosedSkull) -> Tensor:
        """Compute the vertices (B, 3, n), metres, in FLAME's frame, scaled."""
        posed = self._skin(skull.coefficients, self._template, skull.transforms)
        return (posed + self._eyelids(people.eyelids)) * people.head_scale[..., None]


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
