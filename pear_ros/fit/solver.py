# SPDX-License-Identifier: Apache-2.0
"""Damped least squares: the body that explains 2D points best, near what is expected of it.

A Levenberg-Marquardt method (Nocedal and Wright, Numerical Optimization, chapter 10) with analytic
derivatives, robust weights (Geman-McClure) and Gaussian priors on every parameter. Each joint turns
by a small rotation vector about its own axes, so rotations stay rotations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pear_ros.body.kinematics import rotation_matrices, rotation_vectors
from pear_ros.camera import Camera
from pear_ros.fit.skeleton import (
    NUM_BODY_JOINTS,
    AttachedPoints,
    BodyState,
    PosedSkeleton,
    Skeleton,
)
from pear_ros.people import Array

_NEAREST = 0.1
"""Metres: no point is projected from nearer than this."""
_DAMPING = 1e-3


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


class BodySolver:
    """Solves for rotations, shape and translation of one body at a time."""

    def __init__(self, skeleton: Skeleton, steps: int) -> None:
        """`steps`: number of damped least-squares steps, each about half a millisecond."""
        self._skeleton = skeleton
        self._steps = steps

    def __call__(
        self,
        start: BodyState,
        seen: Observation,
        expected: list[Expectation],
        camera: Camera,
    ) -> BodyState:
        """The state that explains `seen` with the least effort against what is `expected`."""
        state = start
        for _ in range(self._steps):
            state = self._step(state, seen, expected, camera)
        return state

    def _step(
        self, state: BodyState, seen: Observation, expected: list[Expectation], camera: Camera
    ) -> BodyState:
        posed = self._skeleton.pose(state)
        normal, gradient = self._image_terms(posed, seen, camera)
        diagonal = np.einsum("ii->i", normal)
        for expectation in expected:
            weight, offset = _prior_terms(state, expectation)
            diagonal += weight
            gradient += weight * offset
        diagonal += _DAMPING * diagonal + 1e-6
        change = -np.linalg.solve(normal, gradient)
        turns = rotation_matrices(change[: 3 * NUM_BODY_JOINTS].reshape(NUM_BODY_JOINTS, 3))
        transl = state.transl + change[-3:]
        transl[2] = max(transl[2], _NEAREST)
        return BodyState(
            rotations=state.rotations @ turns,
            betas=(state.betas + change[3 * NUM_BODY_JOINTS : -3]).astype(np.float32),
            transl=transl.astype(np.float32),
        )

    def _image_terms(
        self, posed: PosedSkeleton, seen: Observation, camera: Camera
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Normal matrix and gradient of the reprojection error."""
        where = self._skeleton.points(posed, seen.points)
        depth = np.maximum(where[:, 2], _NEAREST)
        focal = np.array([camera.fx, camera.fy], np.float32)
        centre = np.array([camera.cx, camera.cy], np.float32)
        flat = where[:, :2] / depth[:, None]
        residual = (flat * focal + centre - seen.pixels) / seen.error[:, None]
        # Geman-McClure: beyond some three standard deviations a point loses its say.
        robust = 1.0 / (1.0 + (residual**2).sum(axis=1) / 9.0) ** 2
        moved = self._skeleton.jacobian(posed, seen.points, where)
        scale = focal / (depth * seen.error)[:, None]
        jacobian = (moved[:, :2] - flat[..., None] * moved[:, 2:]) * scale[..., None]
        rows = jacobian.reshape(-1, jacobian.shape[2]).astype(np.float64)
        weighted = rows * np.repeat(robust, 2)[:, None]
        return weighted.T @ rows, weighted.T @ residual.reshape(-1)


def _prior_terms(
    state: BodyState, expected: Expectation
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Weight and offset of each parameter from what is expected of it."""
    turn = expected.state.rotations.swapaxes(1, 2) @ state.rotations
    offset = np.concatenate(
        [
            rotation_vectors(turn).ravel(),
            state.betas - expected.state.betas,
            state.transl - expected.state.transl,
        ]
    )
    error = np.concatenate(
        [np.repeat(expected.rotation_error, 3), expected.betas_error, expected.transl_error]
    )
    return 1.0 / error.astype(np.float64) ** 2, offset


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
