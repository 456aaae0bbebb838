# SPDX-License-Identifier: Apache-2.0
"""Rauch-Tung-Striebel smoother of rotations and positions, with a constant-velocity model.

State of each channel: a value x (a rotation, or a position) and its velocity w, with the covariance
P (2, 2) of their errors, the same along each axis. Over a time step dt:

    x <- x [+] w dt,    P <- F P F' + Q
    F = [1 dt; 0 1],    Q = S [dt^3/3 dt^2/2; dt^2/2 dt]    S: spectral density of the acceleration

A measurement z with the variance R moves the state by K (z [-] x), K = P H' / (H P H' + R). The
backward pass (Rauch, Tung and Striebel, AIAA Journal 3, 1965) corrects each filtered state by

    C (x_s - x_p),    C = P F' P_p^-1    x_p, P_p: predicted, x_s: smoothed, both of the next time

On SO(3) [+] and [-] are those of the tangent space (Hertzberg et al., Information Fusion 14, 2013).
R is estimated from the third differences of the measurements. Measurements far off the smoothed
values get a larger R in a second pass (Geman-McClure weights).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pear_ros.core import quaternions

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_FIRST_VELOCITY_STD = 2.0
"""Standard deviation of the first velocity, per second."""
_PASSES = 2
_CUTOFF = 4.0
"""Standard deviations at which a measurement's weight is a quarter."""
_CHI_SQUARE_MEDIAN = {1: 0.455, 3: 2.366}
"""Median of the chi-square distribution, by degrees of freedom."""
_MAX_FINITE = 1e12
"""Variance of measurements that do not exist."""


@dataclass(frozen=True)
class Manifold:
    """The operators of a space of values (C, d) whose steps are vectors (C, n)."""

    plus: Callable[[Doubles, Doubles], Doubles]
    """The value after a step."""
    minus: Callable[[Doubles, Doubles], Doubles]
    """The step from the second value to the first."""


ROTATIONS = Manifold(
    lambda x, step: quaternions.product(x, quaternions.from_vectors(step)),
    lambda end, start: quaternions.to_vectors(quaternions.difference(start, end)),
)
"""Unit quaternions (C, 4) and rotation vectors (C, 3), radians."""
VECTORS = Manifold(lambda x, step: x + step, lambda end, start: end - start)
"""Vectors (C, n) of any dimension."""


@dataclass(frozen=True)
class Smoothed:
    """Smoothed values at T times."""

    values: Doubles
    """(T, C, d)."""
    std: Doubles
    """(T, C) standard deviation along each axis."""


def smooth(
    space: Manifold,
    times: Doubles,
    values: Doubles,
    measured: Flags,
    density: float,
    noise: tuple[float, float],
) -> Smoothed:
    """Return values at `times` (T,), seconds, ascending, of measurements `values` (T, C, d).

    `measured` (T, C): where False, the value does not count. `density`: S, per second cubed.
    `noise`: least and greatest standard deviation of a measurement.
    """
    R = np.clip(noise_variance(space, times, values, measured), noise[0] ** 2, noise[1] ** 2)
    variance = np.where(measured, R, _MAX_FINITE)  # (T, C)
    found = _pass(space, times, values, variance, density)
    for _ in range(_PASSES - 1):
        residual = _norm(space.minus(values, found.values)) ** 2
        weight = 1.0 / (1.0 + residual / (_CUTOFF**2 * R)) ** 2
        found = _pass(space, times, values, variance / weight, density)
    return found


def noise_variance(space: Manifold, times: Doubles, values: Doubles, measured: Flags) -> Doubles:
    """Return the variance (C,) of white measurement noise, from the median of third differences.

    A third difference of white noise has 20 times its variance. Values that are not `measured` are
    left out. Infinite where there are too few.
    """
    variance = np.full(values.shape[1], np.inf)
    for channel in range(values.shape[1]):
        x = values[measured[:, channel], channel]
        if len(x) < 6:
            continue
        jerk = np.diff(space.minus(x[1:], x[:-1]), 2, axis=0)
        square = np.median((jerk**2).sum(axis=-1))
        variance[channel] = square / (20.0 * _CHI_SQUARE_MEDIAN[jerk.shape[-1]])
    return variance


def _pass(space: Manifold, times: Doubles, values: Doubles, R: Doubles, density: float) -> Smoothed:
    """One forward and one backward pass."""
    count, channels = R.shape
    x, w = values[0], 0.0 * space.minus(values[0], values[0])
    P: Doubles = np.zeros((channels, 2, 2))
    P[:, 0, 0], P[:, 1, 1] = R[0], _FIRST_VELOCITY_STD**2
    filtered, predicted = [(x, w, P)], []
    for t in range(1, count):
        F, Q = _model(times[t] - times[t - 1], density)
        x, P = space.plus(x, w * F[0, 1]), F @ P @ F.T + Q
        predicted.append((x, w, P))
        K = P[:, :, 0] / (P[:, :1, 0] + R[t][:, None])  # (C, 2)
        innovation = space.minus(values[t], x)
        x, w = space.plus(x, K[:, :1] * innovation), w + K[:, 1:] * innovation
        P = P - K[:, :, None] * P[:, None, 0]
        filtered.append((x, w, P))
    smoothed, variance = [x], [P[:, 0, 0]]
    for t in range(count - 2, -1, -1):
        F, _ = _model(times[t + 1] - times[t], density)
        x_p, w_p, P_p = predicted[t]
        x_f, w_f, P_f = filtered[t]
        C = np.swapaxes(np.linalg.solve(P_p, F @ P_f), 1, 2)  # (C, 2, 2)
        step, dw = space.minus(x, x_p), w - w_p
        x = space.plus(x_f, C[:, :1, 0] * step + C[:, :1, 1] * dw)
        w = w_f + C[:, 1:, 0] * step + C[:, 1:, 1] * dw
        P = P_f + C @ (P - P_p) @ np.swapaxes(C, 1, 2)
        smoothed.append(x)
        variance.append(P[:, 0, 0])
    std = np.sqrt(np.maximum(np.stack(variance[::-1]), 0.0))
    return Smoothed(np.stack(smoothed[::-1]), std)


def _model(dt: float, density: float) -> tuple[Doubles, Doubles]:
    """F and Q (2, 2)."""
    F = np.array([[1.0, dt], [0.0, 1.0]])
    Q = density * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
    return F, Q


def _norm(vectors: Doubles) -> Doubles:
    return np.asarray(np.linalg.norm(vectors, axis=-1))
