# SPDX-License-Identifier: Apache-2.0
"""Random shapes and faces of rendered people, by the coefficients that a body has."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pear_ros.body import load_open_body
from pear_ros.body.ehm import EhmBody
from pear_ros.body.flame import NUM_SHAPE
from pear_ros.core.people import Array
from pear_ros.pear.body import PearBody
from pear_ros.pear.prediction import LAYOUT
from pear_ros.training.bodies import FLAME_PARTS, JAW_AND_EYES, surface
from pear_ros.training.poses import Random, from_degrees

CHILDREN = 0.06
"""Share of bodies far smaller than adults, with a child's proportions as far as the body has
them; SMPL-X has none."""
_WIDEST = 2.5
"""Largest coefficient, standard deviations."""
_STILL = 0.5
"""Share of faces of SMPL-X and FLAME without expression."""
_CLOSED = 0.15
"""Share of people whose eyes are closed."""
_HEAD_SPREAD = 0.03
"""Standard deviation of a head's size, over that of SMPL-X's own head, along each axis."""
_FINGERS = [*range(25, 55)]


def sample_betas(rng: Random, body: PearBody) -> Array:
    """Return a shape (num_betas,): coefficients of a normal distribution."""
    betas = _coefficients(rng, body.num_betas)
    if body is load_open_body() and rng.random() < CHILDREN:
        # The first coefficient is height, the sixth age (tools/build_open_body.py).
        betas[[0, 5]] = -rng.uniform(2.5, 4.5), -rng.uniform(1.5, 3.0)
    return betas.astype(np.float32)


def turn_head_and_hands(rng: Random, rotations: npt.NDArray[np.float64]) -> None:
    """Turn jaw, eyes and fingers of `rotations` (55, 3, 3) in place."""
    jaw = from_degrees([rng.uniform(0, 18) if rng.random() < 0.3 else 0.0, 0, 0])
    eye = from_degrees([rng.normal(0, 8), rng.normal(0, 15), 0])
    rotations[JAW_AND_EYES] = [jaw, eye, eye]
    bent = from_degrees(rng.normal(0, (4, 6, 10), (len(_FINGERS), 3)))
    rotations[_FINGERS] = rotations[_FINGERS] @ bent


def sample_expression(rng: Random, body: PearBody) -> Array:
    """Return an expression (num_expression,).

    Of the open body, a few coefficients from 0 to 1; others are 0, and so are those that PEAR's
    network lacks. Of SMPL-X, all of a normal distribution, or none.
    """
    if body is not load_open_body():
        return _face(rng, body.num_expression)
    count = body.num_expression
    expression = np.zeros(count, np.float32)
    predicted = min(count, LAYOUT["expression"])
    moved = rng.choice(predicted, min(predicted, int(rng.integers(0, 7))), replace=False)
    expression[moved] = rng.uniform(0, 1, len(moved))
    return expression


def sample_flame(
    rng: Random, body: PearBody, betas: Array, rotations: npt.NDArray[np.float64]
) -> Array:
    """Return FLAME's parameters (F,), see pear_ros.training.bodies; none for other bodies.

    Jaw and eyes are those of `rotations` (55, 3, 3). The head is about as large as that of SMPL-X
    with `betas` (num_betas,), so that it fits the neck.
    """
    if not isinstance(body, EhmBody):
        return np.empty(0, np.float32)
    shape = _coefficients(rng, FLAME_PARTS["shape"])
    expression = _face(rng, FLAME_PARTS["expression"])
    turned = Rotation.from_matrix(rotations[JAW_AND_EYES]).as_rotvec()
    eyelids = np.ones(2) if rng.random() < _CLOSED else np.full(2, rng.uniform(0, 0.4))
    scale = _head_size(body, betas, shape) * (1.0 + rng.normal(0, _HEAD_SPREAD, 3))
    parts = (shape, expression, turned.ravel(), eyelids, scale)
    row: Array = np.concatenate(parts).astype(np.float32)
    return row


def _coefficients(rng: Random, count: int) -> npt.NDArray[np.float64]:
    return np.clip(rng.normal(0, 1, count), -_WIDEST, _WIDEST)


def _face(rng: Random, count: int) -> Array:
    still = rng.random() < _STILL
    return (np.zeros(count) if still else _coefficients(rng, count)).astype(np.float32)


def _head_size(
    body: EhmBody, betas: Array, shape: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the extent (3,) of SMPL-X's head with `betas` over that of FLAME's with `shape`."""
    flame, smplx = body.flame, surface(body)
    rows = flame.swapped
    own = flame.smplx_vertices[rows]
    of_smplx = smplx.v_template[own] + smplx.shapedirs[own] @ betas
    of_flame = flame.v_template[rows] + flame.shapedirs[rows][:, :, :NUM_SHAPE] @ shape
    extent: npt.NDArray[np.float64] = of_smplx.std(axis=0) / of_flame.std(axis=0)
    return extent
