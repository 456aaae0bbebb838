# SPDX-License-Identifier: Apache-2.0
"""Levenberg-Marquardt: the body whose points project best onto the landmarks, near its priors.

Minimised over x = (rotations, betas, translation) is the maximum a posteriori cost

    c(x) = sum_n rho(|r_n|^2) + sum_k d_k' W_k d_k,    r_n = (project(p_n(x)) - u_n) / sigma_n

of N landmarks u_n with standard deviations sigma_n, and of K Gaussian priors: x differs by d_k from
the mode of prior k, whose precision (inverse covariance) W_k is diagonal. rho(s) = s / (1 + s/c^2)
is the robust loss of Geman and McClure (Black and Rangarajan, IJCV 1996), for which iteratively
reweighted least squares has the weights w = rho'(s). With J = dr/dx a step dx solves the damped
normal equations of Levenberg and Marquardt (Nocedal and Wright, Numerical Optimization, chapter 10)

    (H + lambda diag(H)) dx = -g,    H = J' w J + sum_k W_k,    g = J' w r + sum_k W_k d_k

Derivatives are analytic. A rotation R is updated on the manifold, R exp(dx), by a small rotation
vector about the joint's own axes.
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

Doubles = npt.NDArray[np.float64]

_MIN_DEPTH = 0.1
"""Metres; nearer points are projected from this depth."""
_INITIAL_DAMPING = 1e-3
"""lambda of the first step."""
_MAX_STEPS = 4
"""More steps change the result by less than the error of the landmarks."""
_MIN_RELATIVE_DECREASE = 0.15
"""The solver stops after a step that decreases the cost by a smaller share."""
_ROBUST_SCALE = 3.0
"""c of the loss, standard deviations: a residual far above it has hardly any weight."""


@dataclass(frozen=True)
class Observation:
    """N points of the body observed in the image."""

    points: AttachedPoints
    """The N points on the body."""
    pixels: Array
    """(N, 2) their observed places u_n."""
    error: Array
    """(N,) standard deviations sigma_n, pixels; infinite: not observed."""


@dataclass(frozen=True)
class GaussianPrior:
    """A Gaussian prior on the state of the body, with independent parameters."""

    state: BodyState
    """The mode."""
    rotation_error: Array
    """(22,) standard deviation of each joint's rotation per axis, radians; infinite: no prior."""
    betas_error: Array
    """(num_betas,) standard deviations; infinite: no prior."""
    transl_error: Array
    """(3,) standard deviations, metres; infinite: no prior."""


@dataclass(frozen=True)
class Solution:
    """The body that the solver found."""

    state: BodyState
    """The state of least cost."""
    cost: float
    """Its cost c(x): landmarks and priors, in squared standard deviations."""


@dataclass(frozen=True)
class _Linearisation:
    """The cost and its normal equations at one state."""

    state: BodyState
    cost: float
    hessian: Doubles
    """(P, P) Gauss-Newton's approximation H."""
    gradient: Doubles
    """(P,) g."""


class BodySolver:
    """Solves for rotations, shape and translation of one body at a time."""

    def __init__(self, skeleton: Skeleton) -> None:
        """Solve for bodies of this skeleton."""
        self._skeleton = skeleton

    def __call__(
        self,
        start: BodyState,
        observed: Observation,
        priors: Sequence[GaussianPrior],
        camera: Camera,
    ) -> Solution:
        """Return the state of least cost that at most `_MAX_STEPS` steps from `start` reach.

        `camera` is a pinhole: its distortion is not taken into account.
        """
        prior = _Priors(priors)
        best = self._linearise(start, observed, prior, camera)
        damping = _INITIAL_DAMPING
        for _ in range(_MAX_STEPS):
            trial = self._linearise(_step(best, damping), observed, prior, camera)
            if trial.cost >= best.cost:
                damping *= 50.0
                continue
            decrease = 1.0 - trial.cost / best.cost
            best, damping = trial, damping / 5.0
            if decrease < _MIN_RELATIVE_DECREASE:
                break
        return Solution(best.state, best.cost)

    def _linearise(
        self, state: BodyState, observed: Observation, prior: _Priors, camera: Camera
    ) -> _Linearisation:
        posed = self._skeleton.pose(state)
        p = self._skeleton.points(posed, observed.points)  # (N, 3)
        depth = np.maximum(p[:, 2], _MIN_DEPTH)
        focal = np.array([camera.fx, camera.fy], np.float32)
        centre = np.array([camera.cx, camera.cy], np.float32)
        ideal = p[:, :2] / depth[:, None]  # (N, 2) x/z and y/z
        r = (ideal * focal + centre - observed.pixels) / observed.error[:, None]  # (N, 2)
        # Geman-McClure: rho(s) = s f and w = rho'(s) = f^2, with f = 1 / (1 + s / c^2).
        s = (r**2).sum(axis=1)  # (N,)
        f = 1.0 / (1.0 + s / _ROBUST_SCALE**2)
        cost = float((s * f).sum())
        # d(x/z) = (dx - x/z dz) / z
        dp = self._skeleton.jacobian(posed, observed.points, p)  # (N, 3, P)
        scale = focal / (depth * observed.error)[:, None]  # (N, 2)
        jacobian = (dp[:, :2] - ideal[..., None] * dp[:, 2:]) * scale[..., None]  # (N, 2, P)
        J = jacobian.reshape(-1, jacobian.shape[2]).astype(np.float64)  # (2 N, P)
        wJ = J * np.repeat(f**2, 2)[:, None]
        H = wJ.T @ J
        g = wJ.T @ r.reshape(-1)
        diagonal = np.einsum("ii->i", H)  # a view
        precision, prior_gradient, prior_cost = prior.terms(state)
        diagonal += precision
        return _Linearisation(state, cost + prior_cost, H, g + prior_gradient)


def _step(at: _Linearisation, damping: float) -> BodyState:
    """Return the state after one damped step, dx = -(H + lambda diag(H))^-1 g."""
    damped = at.hessian.copy()
    diagonal = np.einsum("ii->i", damped)  # a view
    diagonal += damping * diagonal + 1e-6
    dx = -np.linalg.solve(damped, at.gradient)
    turns = rotation_matrices(dx[: 3 * NUM_BODY_JOINTS].reshape(NUM_BODY_JOINTS, 3))
    transl = at.state.transl + dx[-3:]
    transl[2] = max(transl[2], _MIN_DEPTH)
    return BodyState(
        rotations=at.state.rotations @ turns,
        betas=(at.state.betas + dx[3 * NUM_BODY_JOINTS : -3]).astype(np.float32),
        transl=transl.astype(np.float32),
    )


class _Priors:
    """K Gaussian priors, stacked so that all are evaluated at once."""

    def __init__(self, priors: Sequence[GaussianPrior]) -> None:
        self._inverse_rotations = np.stack([p.state.rotations.swapaxes(1, 2) for p in priors])
        self._betas = np.stack([p.state.betas for p in priors])
        self._transl = np.stack([p.state.transl for p in priors])
        error = [
            np.concatenate([np.repeat(p.rotation_error, 3), p.betas_error, p.transl_error])
            for p in priors
        ]
        self._precision = 1.0 / np.square(np.stack(error), dtype=np.float64)  # (K, P)

    def terms(self, state: BodyState) -> tuple[Doubles, Doubles, float]:
        """Return diag(sum W_k) (P,), gradient sum W_k d_k (P,) and cost sum d_k' W_k d_k."""
        count = len(self._betas)
        turns = rotation_vectors(self._inverse_rotations @ state.rotations).reshape(count, -1)
        d = np.concatenate([turns, state.betas - self._betas, state.transl - self._transl], axis=1)
        Wd = self._precision * d  # (K, P)
        return self._precision.sum(axis=0), Wd.sum(axis=0), float((Wd * d).sum())


def fit_translation(points: Array, pixels: Array, weights: Array, camera: Camera) -> Array:
    """Return the translation (3,), metres, with which points project best onto pixels.

    `points` (N, 3) metres, `pixels` (N, 2), `weights` (N,) of the points. Weighted linear least
    squares of x + tx = u (z + tz) and y + ty = v (z + tz), with (u, v) the pixels in normalised
    image coordinates of the pinhole `camera`.
    """
    uv = (pixels - (camera.cx, camera.cy)) / (camera.fx, camera.fy)  # (N, 2)
    A = np.zeros((len(points), 2, 3))
    A[:, 0, 0] = A[:, 1, 1] = 1.0
    A[:, :, 2] = -uv
    b = uv * points[:, 2:] - points[:, :2]  # (N, 2)
    weighted = A * weights[:, None, None]
    solution, *_ = np.linalg.lstsq(
        weighted.reshape(-1, 3), (b * weights[:, None]).ravel(), rcond=None
    )
    return np.asarray(solution, np.float32)
