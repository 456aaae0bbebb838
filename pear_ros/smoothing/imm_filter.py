# SPDX-License-Identifier: Apache-2.0
"""Interacting multiple model (IMM) filter of channels that rest, move, and rest again.

A channel is a joint that turns or a point that moves, along n <= 3 axes. Along each axis it has the
state x = (p, v): p is the error of a nominal state, in the tangent space of that state, and v is
the rate. The nominal state may be a rotation; in each step it absorbs the mean of p (error-state
filter). The axes of a channel share the covariance P, so that S is a scalar. Two modes j, rest and
motion, have a filter each, since a filter that is smooth at rest lags behind quick motion.

Model of mode j over a time step dt

    x <- F_j x + w,  w ~ N(0, Q_j)    F_j = [1  b_j]    a_j = exp(-dt / tau_j)
                                            [0  a_j]    b_j = tau_j (1 - a_j)
                                      Q_j = q_j [dt^3/3  dt^2/2]    white-noise acceleration
                                                [dt^2/2  dt    ]    of spectral density q_j
    z = H x + n,     n ~ N(0, R)      H = [1 0]

    Pi = [1-s   s ]    mode transition matrix of a Markov chain with the mean sojourn time T:
         [ s   1-s]    s = (1 - exp(-2 dt / T)) / 2

Mixing (`predict`)
    c_j      = sum_i Pi_ij mu_i               predicted mode probability
    mu_{i|j} = Pi_ij mu_i / c_j               mixing probability
    x_j     <- sum_i mu_{i|j} x_i
    P_j     <- sum_i mu_{i|j} [P_i + (x_i - x_j)(x_i - x_j)^T]
Prediction (`predict`)
    x_j     <- F_j x_j
    P_j     <- F_j P_j F_j^T + Q_j
Mode likelihoods and measurement update (`update`)
    nu_j     = z - H x_j                      innovation
    S_j      = H P_j H^T + R                  innovation covariance
    L_j      = N(nu_j; 0, S_j)                mode likelihood
    mu_j     = c_j L_j / sum_i c_i L_i        mode probability
    K_j      = P_j H^T S_j^-1                 gain
    x_j     <- x_j + K_j nu_j
    P_j     <- (I - K_j H) P_j
Combination (after prediction and after update)
    p        = sum_j mu_j p_j                 step of the nominal state; then p_j <- p_j - p

Robustness (`update`, `pear_ros.smoothing.measurement_noise`)
    R        = kappa rho sigma^2 lambda       sigma: nominal, kappa: correlation of the errors
    rho     <- rho + g (-d_k^T d_{k-1} / (n sigma^2) - rho)    noise adaptation, where
    d_k      = nu_k - r_{k-1}, r = z - H x    measured less predicted displacement: white noise of
                                              variance R gives E[d_k^T d_{k-1}] = -n R
    lambda   = max(1, |nu|^2 / (4 n S))^2     inflation of R for outliers
    Outliers that agree with the one before, or that are many in one person, are jumps of the true
    state: the channel is reset to the measurement.

References
    IMM: Blom and Bar-Shalom, IEEE Trans. Automatic Control 33(8), 1988; Bar-Shalom, Li and
    Kirubarajan: Estimation with Applications to Tracking and Navigation, 2001, section 11.6;
    white-noise acceleration: ibid., section 6.2.
    Error-state filter: Solà, Quaternion kinematics for the error-state Kalman filter, 2017.

Shapes: N people, 2 modes, 3 axes, C channels. Channels come last, so that NumPy's innermost loops
are long.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from pear_ros.smoothing.measurement_noise import (
    Doubles,
    Mask,
    adapt_noise_scale,
    jumps,
    outlier_inflation,
    squared_norm,
)

_RATE_TIME_CONSTANT = np.array([[0.2], [3.0]])  # (2, 1)
"""tau: time constant of the rate in the modes rest and motion, seconds."""
_SOJOURN_TIME = 2.0
"""T: mean time that a channel stays in a mode, seconds."""
_MIN_MODE_PROBABILITY = 1e-4
"""Lower limit of mode probabilities before they are normalised."""
_NOISE_CORRELATION = 5.0
"""kappa: the errors of successive images are correlated, so that R exceeds their variance."""


@dataclass(frozen=True)
class Channels:
    """Constants of C channels."""

    axes: Doubles
    """(C,) n: number of axes, 1 to 3; the components of vectors beyond it are zero."""
    initial_rate_std: Doubles
    """(C,) standard deviation of the rate along an axis at first, units per second."""
    process_noise: Doubles
    """(2, C) q: spectral density of the acceleration in the modes rest and motion, units^2/s^3."""
    jump_share: Doubles
    """(C,) weights, of sum 1, of the channels that decide whether the whole person has jumped."""


@dataclass(frozen=True)
class ImmState:
    """Filter state of the channels of N people, in the units of the channels and seconds."""

    position: Doubles
    """(N, 2, 3, C) p_j."""
    rate: Doubles
    """(N, 2, 3, C) v_j."""
    variance: Doubles
    """(N, 2, C) P_pp of each mode, along each axis."""
    covariance: Doubles
    """(N, 2, C) P_pv of each mode, along each axis."""
    rate_variance: Doubles
    """(N, 2, C) P_vv of each mode, along each axis."""
    mode_probability: Doubles
    """(N, 2, C) mu_j."""
    noise_scale: Doubles
    """(N, C) rho: adapted over nominal variance of the measurements."""
    residual: Doubles
    """(N, 3, C) r: the last measurement less the estimate after it."""
    displacement_error: Doubles
    """(N, 3, C) d: measured less predicted displacement between the last two measurements."""


def initialise(channels: Channels, sigma: Doubles) -> ImmState:
    """Return the state of N people whose nominal state is their first measurement.

    `sigma` (N, C): nominal standard deviation of the measurement along an axis.
    """
    people, count = sigma.shape
    ones = np.ones((people, 2, count))
    zeros = np.zeros((people, 2, 3, count))
    return ImmState(
        position=zeros,
        rate=zeros,
        variance=_NOISE_CORRELATION * sigma[:, None] ** 2 * ones,
        covariance=0.0 * ones,
        rate_variance=channels.initial_rate_std**2 * ones,
        mode_probability=0.5 * ones,
        noise_scale=np.ones(sigma.shape),
        residual=zeros[:, 0],
        displacement_error=zeros[:, 0],
    )


def predict(channels: Channels, state: ImmState, dt: Doubles) -> tuple[ImmState, Doubles]:
    """Return the state predicted `dt` (N,) seconds later and the step of the nominal state.

    The step (N, 3, C) is in the tangent space of the nominal state before it.
    """
    mixed = _mix(channels, state, dt)
    time = dt[:, None, None]  # (N, 1, 1)
    a = np.exp(-time / _RATE_TIME_CONSTANT)  # (N, 2, 1)
    b = _RATE_TIME_CONSTANT * (1.0 - a)
    position = mixed.position + b[:, :, None] * mixed.rate
    step = _combine(mixed.mode_probability, position)
    q_dt = time * channels.process_noise  # (N, 2, C)
    P_pv = mixed.covariance + b * mixed.rate_variance
    predicted = replace(
        mixed,
        position=position - step[:, None],
        rate=a[:, :, None] * mixed.rate,
        variance=mixed.variance + b * (mixed.covariance + P_pv) + time**2 / 3.0 * q_dt,
        covariance=a * P_pv + time / 2.0 * q_dt,
        rate_variance=a**2 * mixed.rate_variance + q_dt,
    )
    return predicted, step


def update(
    channels: Channels, state: ImmState, dt: Doubles, innovation: Doubles, sigma: Doubles
) -> tuple[ImmState, Doubles]:
    """Return the state after a measurement and the step (N, 3, C) of the nominal state.

    `innovation` (N, 3, C): the measurement less the predicted nominal state, in its tangent space;
    `dt` (N,) seconds since the last measurement; `sigma` (N, C): nominal standard deviation of the
    measurement along an axis.
    """
    R = _NOISE_CORRELATION * state.noise_scale * sigma**2  # (N, C)
    squared_innovation = squared_norm(innovation)  # (N, C)
    expected = channels.axes * (state.variance.max(axis=1) + R)  # n S of the wider mode
    inflation = outlier_inflation(squared_innovation, expected)
    updated, step = _update_modes(channels, state, innovation, R * inflation)
    d, last_d = innovation - state.residual, state.displacement_error
    jump = jumps(channels.jump_share, inflation > 1.0, squared_innovation, d)
    any_jump = jump.any()
    noise_scale = state.noise_scale
    if not any_jump:  # A jump is no noise: with one, the noise scale of no channel is adapted.
        noise_scale = adapt_noise_scale(noise_scale, d, last_d, channels.axes * sigma**2, dt)
    updated = replace(
        updated, residual=innovation - step, displacement_error=d, noise_scale=noise_scale
    )
    if any_jump:
        initial = initialise(channels, np.sqrt(noise_scale) * sigma)
        updated = _select(jump, replace(initial, noise_scale=noise_scale), updated)
        step = np.where(jump[:, None], innovation, step)
    return updated, step


def _mix(channels: Channels, state: ImmState, dt: Doubles) -> ImmState:
    """Mixing of the modes, which gives the state in which each mode begins the time step."""
    s = 0.5 - 0.5 * np.exp(-2.0 * dt / _SOJOURN_TIME)[:, None, None]  # (N, 1, 1) Pi_ij, i != j
    switched = s * state.mode_probability[:, ::-1]
    c = (1.0 - s) * state.mode_probability + switched  # (N, 2, C)
    mu_other = switched / c  # (N, 2, C) mu_{i|j}, i != j

    def mix(values: Doubles, mu: Doubles) -> Doubles:
        return values + mu * (values[:, ::-1] - values)

    # Spread of the means; of two modes it is mu_{1|j} mu_{2|j} (x_1 - x_2)(x_1 - x_2)^T, here the
    # mean of it over the axes.
    p, v = (values[:, 0] - values[:, 1] for values in (state.position, state.rate))  # (N, 3, C)
    spread = mu_other * (1.0 - mu_other) / channels.axes
    return replace(
        state,
        position=mix(state.position, mu_other[:, :, None]),
        rate=mix(state.rate, mu_other[:, :, None]),
        variance=mix(state.variance, mu_other) + spread * squared_norm(p)[:, None],
        covariance=mix(state.covariance, mu_other) + spread * (p * v).sum(axis=1)[:, None],
        rate_variance=mix(state.rate_variance, mu_other) + spread * squared_norm(v)[:, None],
        mode_probability=c,
    )


def _update_modes(
    channels: Channels, state: ImmState, innovation: Doubles, R: Doubles
) -> tuple[ImmState, Doubles]:
    """Mode probabilities and Kalman update of each mode, and the combined step (N, 3, C)."""
    S = state.variance + R[:, None]  # (N, 2, C)
    nu = innovation[:, None] - state.position  # (N, 2, 3, C)
    mu = _mode_probabilities(channels, state, nu, S)
    K_p, K_v = state.variance / S, state.covariance / S  # (N, 2, C)
    position = state.position + K_p[:, :, None] * nu
    step = _combine(mu, position)
    updated = replace(
        state,
        position=position - step[:, None],
        rate=state.rate + K_v[:, :, None] * nu,
        variance=(1.0 - K_p) * state.variance,
        covariance=(1.0 - K_p) * state.covariance,
        rate_variance=state.rate_variance - K_v * state.covariance,
        mode_probability=mu,
    )
    return updated, step


def _mode_probabilities(channels: Channels, state: ImmState, nu: Doubles, S: Doubles) -> Doubles:
    """(N, 2, C) mu from innovations nu (N, 2, 3, C) of variance S (N, 2, C) along each axis."""
    # -2 log L_j up to a constant: nu^T S^-1 nu + n log S, relative to the likelier mode.
    cost = squared_norm(nu) / S + channels.axes * np.log(S)
    likelihood = np.exp(0.5 * (cost.min(axis=1, keepdims=True) - cost))
    mu: Doubles = np.maximum(state.mode_probability * likelihood, _MIN_MODE_PROBABILITY)
    mu /= mu.sum(axis=1, keepdims=True)
    return mu


def _select(mask: Mask, selected: ImmState, other: ImmState) -> ImmState:
    """The state of `selected` in the channels of a mask (N, C), of `other` elsewhere."""
    values = {}
    for field in fields(ImmState):
        first, second = getattr(selected, field.name), getattr(other, field.name)
        values[field.name] = np.where(
            np.expand_dims(mask, tuple(range(1, first.ndim - 1))), first, second
        )
    return ImmState(**values)


def _combine(mu: Doubles, values: Doubles) -> Doubles:
    """(N, 3, C) mean of both modes' values (N, 2, 3, C) with probabilities mu (N, 2, C)."""
    mean: Doubles = (mu[:, :, None] * values).sum(axis=1)
    return mean
