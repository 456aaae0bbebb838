# SPDX-License-Identifier: Apache-2.0
"""Damped least squares: the body that explains 2D points best, near what is expected of it.

A Levenberg-Marquardt method (Nocedal and Wright, Numerical Optimization, chapter 10) with analytic
derivatives, robust weights (Geman-McClure) and Gaussian priors on every parameter. Each joint turns
by a small rotation vector about its own axes, so rotations stay rotations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pear_ros.body.kinematics import rotation_matrices, rotation_vectors
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array
from pear_ros.fitting.skeleton import (
    NUM_BODY_JOINTS,
    AttachedPoints,
    BodyState,
    Skeleton,
)

_NEAREST = 0.1
"""Metres: no point is projected from nearer than this."""
_DAMPING = 1e-3
_STEPS = 4
"""At most; more damped steps change the result by less than the landmarks' error."""
_WORTHWHILE = 0.15
"""A step that lowers the cost by a smaller share was the last."""
_REACH = 3.0
"""Standard deviations beyond which a landmark loses its say: it is probably misread."""


@dataclass(frozen=True)
class Observation:
    """Points of the body seen in the image."""

    points: AttachedPoints
    pixels: Array
    """(N, 2) where they are seen."""
    error: Array
    """(N,) expected error, pixels (standard deviation); infinite where nothing is seen."""


@dataclass(frozen=True)
class Expectation:
    """A Gaussian prior on the body: what it probably does before the image is looked at."""

    state: BodyState
    rotation_error: Array
    """(22,) standard deviation of each joint's rotation, radians; infinite: no expectation."""
    betas_error: Array
    """(num_betas,) standard deviations."""
    transl_error: Array
    """(3,) standard deviations, metres; infinite: no expectation."""


@dataclass(frozen=True)
class _Linearisation:
    """A state, what it costs, and how the cost changes around it."""

    state: BodyState
    cost: float
    normal: npt.NDArray[np.float64]
    gradient: npt.NDArray[np.float64]


class BodySolver:
    """Solves for rotations, shape and translation of one body at a time."""

    def __init__(self, skeleton: Skeleton) -> None:
        self._skeleton = skeleton

    def __call__(
        self,
        start: BodyState,
        seen: Observation,
        expected: Sequence[Expectation],
        camera: Camera,
    ) -> BodyState:
        """The state that explains `seen` with the least effort against what is `expected`."""
        stacked = _Expected(expected)
        best = self._linearise(start, seen, stacked, camera)
        damping = _DAMPING
        for _ in range(_STEPS):
            found = self._linearise(_moved(best, damping), seen, stacked, camera)
            if found.cost >= best.cost:
                damping *= 50.0
                continue
            gain = 1.0 - found.cost / best.cost
            best, damping = found, damping / 5.0
            if gain < _WORTHWHILE:
                break
        return best.state

    def _linearise(
        self,
        state: BodyState,
        seen: Observation,
        expected: _Expected,
        camera: Camera,
    ) -> _Linearisation:
        posed = self._skeleton.pose(state)
        where = self._skeleton.points(posed, seen.points)
        depth = np.maximum(where[:, 2], _NEAREST)
        focal = np.array([camera.fx, camera.fy], np.float32)
        centre = np.array([camera.cx, camera.cy], np.float32)
        flat = where[:, :2] / depth[:, None]
        residual = (flat * focal + centre - seen.pixels) / seen.error[:, None]
        # Geman-McClure.
        square = (residual**2).sum(axis=1)
        falloff = 1.0 / (1.0 + square / _REACH**2)
        cost = float((square * falloff).sum())
        moved = self._skeleton.jacobian(posed, seen.points, where)
        scale = focal / (depth * seen.error)[:, None]
        jacobian = (moved[:, :2] - flat[..., None] * moved[:, 2:]) * scale[..., None]
        rows = jacobian.reshape(-1, jacobian.shape[2]).astype(np.float64)
        weighted = rows * np.repeat(falloff**2, 2)[:, None]
        normal = weighted.T @ rows
        gradient = weighted.T @ residual.reshape(-1)
        diagonal = np.einsum("ii->i", normal)
        weight, pull, effort = expected.terms(state)
        diagonal += weight
        return _Linearisation(state, cost + effort, normal, gradient + pull)


def _moved(best: _Linearisation, damping: float) -> BodyState:
    """The state after one damped step."""
    damped = best.normal.copy()
    diagonal = np.einsum("ii->i", damped)
    diagonal += damping * diagonal + 1e-6
    change = -np.linalg.solve(damped, best.gradient)
    turns = rotation_matrices(change[: 3 * NUM_BODY_JOINTS].reshape(NUM_BODY_JOINTS, 3))
    transl = best.state.transl + change[-3:]
    transl[2] = max(transl[2], _NEAREST)
    return BodyState(
        rotations=best.state.rotations @ turns,
        betas=(best.state.betas + change[3 * NUM_BODY_JOINTS : -3]).astype(np.float32),
        transl=transl.astype(np.float32),
    )


class _Expected:
    """Several expectations, stacked so that they are computed with at once."""

    def __init__(self, expected: Sequence[Expectation]) -> None:
        self._backwards = np.stack([e.state.rotations.swapaxes(1, 2) for e in expected])
        self._betas = np.stack([e.state.betas for e in expected])
        self._transl = np.stack([e.state.transl for e in expected])
        error = [
            np.concatenate([np.repeat(e.rotation_error, 3), e.betas_error, e.transl_error])
            for e in expected
        ]
        self._weight = 1.0 / np.square(np.stack(error), dtype=np.float64)

    def terms(
        self, state: BodyState
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]:
        """Diagonal of the normal matrix, gradient, and cost of being in this state."""
        count = len(self._betas)
        turns = rotation_vectors(self._backwards @ state.rotations).reshape(count, -1)
        shape, place = state.betas - self._betas, state.transl - self._transl
        offset = np.concatenate([turns, shape, place], axis=1)
        pull = self._weight * offset
        return self._weight.sum(axis=0), pull.sum(axis=0), float((pull * offset).sum())


def place(points: Array, pixels: Array, weight: Array, camera: Camera) -> Array:
    """(3,) translation with which points (N, 3) project best onto pixels (N, 2).

    Linear least squares: x + tx = u (z + tz) in normalised image coordinates, and the same for y.
    """
    u = (pixels - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
    rows = np.zeros((len(points), 2, 3))
    rows[:, 0, 0] = rows[:, 1, 1] = 1.0
    rows[:, :, 2] = -u
    target = u * points[:, 2:] - points[:, :2]
    weighted = rows * weight[:, None, None]
    solution, *_ = np.linalg.lstsq(
        weighted.reshape(-1, 3), (target * weight[:, None]).ravel(), rcond=None
    )
    return np.asarray(solution, np.float32)
