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
vector about the joint's own axes. All in double precision, so that the same method in compiled code
(pear_ros.fitting.compiled_solver), used where Numba is installed, takes the same steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from pear_ros.body.kinematics import rotation_matrices, rotation_vectors
from pear_ros.core.camera import Camera
from pear_ros.core.log import get_logger
from pear_ros.core.people import Array
from pear_ros.fitting.skeleton import (
    NUM_BODY_JOINTS,
    AttachedPoints,
    BodyState,
    Skeleton,
)

Doubles = npt.NDArray[np.float64]

logger = get_logger(__name__)

_MIN_DEPTH = 0.1
"""Metres; nearer points are projected from this depth."""
_INITIAL_DAMPING = 1e-3
"""lambda of the first step."""
_MAX_STEPS = 4
"""More steps change the result by less than the error of the landmarks."""
_MIN_RELATIVE_DECREASE = 0.15
"""The solver stops after a step that decreases the cost by a smaller share."""
_ROBUST_SCALE = 6.0
"""c of the loss, standard deviations: a residual far above it has hardly any weight."""


@cache
def compiled_solve() -> Callable[..., float] | None:
    """Return the solver in compiled code; None, with the reason in the log: it is not available.

    The first call on a machine compiles it, which takes seconds.
    """
    try:
        from pear_ros.fitting.compiled_solver import solve
    except Exception as error:  # Numba is missing or broken, or can keep nothing anywhere.
        logger.info("Bodies are fitted more slowly without the compiled solver: %s", error)
        return None
    compiled: Callable[..., float] = solve
    return compiled


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
    """Solves for rotations, shape and translation of one body at a time; stateless."""

    def __init__(
        self, skeleton: Skeleton, *, robust_scale: float = _ROBUST_SCALE, compiled: bool = True
    ) -> None:
        """Solve for bodies of this skeleton, with `compiled` code if Numba is installed.

        `robust_scale`: c of the loss, standard deviations.
        """
        self._skeleton = skeleton
        self._robust_scale = robust_scale
        self._tree = (
            np.asarray(skeleton.bones, np.float64),
            np.asarray(skeleton.bone_dirs, np.float64),
            skeleton.parents,
        )
        self._compiled = compiled_solve() if compiled else None

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
        if self._compiled is None:
            return self._solve(start, observed, prior, camera)
        R, betas, t = (
            np.array(value, np.float64, order="C")
            for value in (start.rotations, start.betas, start.transl)
        )
        cost = self._compiled(
            *(R, betas, t),
            *self._tree,
            np.asarray(observed.points.joint, np.int64),
            *map(_doubles, (observed.points.offset, observed.pixels, observed.error)),
            *map(_doubles, (prior.rotations, prior.betas, prior.transl, prior.precision)),
            np.array([camera.fx, camera.fy, camera.cx, camera.cy], np.float64),
            *(_MIN_DEPTH, self._robust_scale, _INITIAL_DAMPING, _MAX_STEPS, _MIN_RELATIVE_DECREASE),
        )
        return Solution(_single_precision(R, betas, t), cost)

    def _solve(
        self, start: BodyState, observed: Observation, prior: _Priors, camera: Camera
    ) -> Solution:
        doubles = BodyState(*map(_doubles, (start.rotations, start.betas, start.transl)))
        best = self._linearise(doubles, observed, prior, camera)
        damping = _INITIAL_DAMPING
        for _ in range(_MAX_STEPS):
            trial = self._linearise(_step(best, damping), observed, prior, camera)
            if not trial.cost < best.cost:
                damping *= 50.0
                continue
            decrease = 1.0 - trial.cost / best.cost
            best, damping = trial, damping / 5.0
            if decrease < _MIN_RELATIVE_DECREASE:
                break
        state = best.state
        return Solution(_single_precision(state.rotations, state.betas, state.transl), best.cost)

    def _linearise(
        self, state: BodyState, observed: Observation, prior: _Priors, camera: Camera
    ) -> _Linearisation:
        posed = self._skeleton.pose(state)
        p = self._skeleton.points(posed, observed.points)  # (N, 3)
        depth = np.maximum(p[:, 2], _MIN_DEPTH)
        focal = np.array([camera.fx, camera.fy])
        centre = np.array([camera.cx, camera.cy])
        ideal = p[:, :2] / depth[:, None]  # (N, 2) x/z and y/z
        r = (ideal * focal + centre - observed.pixels) / observed.error[:, None]  # (N, 2)
        # Geman-McClure: rho(s) = s f and w = rho'(s) = f^2, with f = 1 / (1 + s / c^2).
        s = (r**2).sum(axis=1)  # (N,)
        f = 1.0 / (1.0 + s / self._robust_scale**2)
        cost = float((s * f).sum())
        # d(x/z) = (dx - x/z dz) / z
        dp = self._skeleton.jacobian(posed, observed.points, p)  # (N, 3, P)
        scale = focal / (depth * observed.error)[:, None]  # (N, 2)
        jacobian = (dp[:, :2] - ideal[..., None] * dp[:, 2:]) * scale[..., None]  # (N, 2, P)
        J = jacobian.reshape(-1, jacobian.shape[2])  # (2 N, P)
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
    betas = at.state.betas + dx[3 * NUM_BODY_JOINTS : -3]
    return BodyState(at.state.rotations @ turns, betas, transl)


class _Priors:
    """K Gaussian priors, stacked so that all are evaluated at once."""

    def __init__(self, priors: Sequence[GaussianPrior]) -> None:
        self.rotations = np.stack([p.state.rotations for p in priors])  # (K, 22, 3, 3)
        self.betas = np.stack([p.state.betas for p in priors])  # (K, num_betas)
        self.transl = np.stack([p.state.transl for p in priors])  # (K, 3)
        error = [
            np.concatenate([np.repeat(p.rotation_error, 3), p.betas_error, p.transl_error])
            for p in priors
        ]
        self.precision = 1.0 / np.square(np.stack(error), dtype=np.float64)  # (K, P)

    def terms(self, state: BodyState) -> tuple[Doubles, Doubles, float]:
        """Return diag(sum W_k) (P,), gradient sum W_k d_k (P,) and cost sum d_k' W_k d_k."""
        inverse = self.rotations.swapaxes(2, 3)
        turns = rotation_vectors(inverse @ state.rotations).reshape(len(self.betas), -1)
        d = np.concatenate([turns, state.betas - self.betas, state.transl - self.transl], axis=1)
        Wd = self.precision * d  # (K, P)
        return self.precision.sum(axis=0), Wd.sum(axis=0), float((Wd * d).sum())


def _doubles(values: npt.NDArray[Any]) -> Any:
    """Return values as a contiguous array in double precision."""
    return np.ascontiguousarray(values, np.float64)


def _single_precision(R: npt.NDArray[Any], betas: npt.NDArray[Any], t: Any) -> BodyState:
    """Return the state with these rotations, betas and translation in single precision."""
    return BodyState(*(np.asarray(value, np.float32) for value in (R, betas, t)))
