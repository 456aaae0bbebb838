# SPDX-License-Identifier: Apache-2.0
"""Interacting multiple model filter, compared with the textbook's matrices."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pear_ros.smoothing import imm_filter
from pear_ros.smoothing.imm_filter import Channels, ImmState

TAU, SOJOURN_TIME, KAPPA = (0.2, 3.0), 2.0, 5.0
Q_DENSITY = (0.05, 20.0)
CHANNEL = Channels(
    axes=np.array([1.0]),
    initial_rate_std=np.array([4.0]),
    process_noise=np.array([Q_DENSITY]).T,
    jump_share=np.array([1.0]),
)
"""One channel of one axis, for which all shared quantities are exact."""


@dataclasses.dataclass
class Mode:
    """The textbook's filter of one mode."""

    x: np.ndarray
    P: np.ndarray
    mu: float


def modes_of(state: ImmState) -> list[Mode]:
    return [
        Mode(
            np.array([state.position[0, j, 0, 0], state.rate[0, j, 0, 0]]),
            np.array(
                [
                    [state.variance[0, j, 0], state.covariance[0, j, 0]],
                    [state.covariance[0, j, 0], state.rate_variance[0, j, 0]],
                ]
            ),
            float(state.mode_probability[0, j, 0]),
        )
        for j in range(2)
    ]


def assert_equal(state: ImmState, modes: list[Mode]) -> None:
    for found, expected in zip(modes_of(state), modes, strict=True):
        np.testing.assert_allclose(found.x, expected.x, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found.P, expected.P, rtol=1e-9, atol=1e-12)
        assert found.mu == pytest.approx(expected.mu, rel=1e-9)


def recentred(modes: list[Mode]) -> tuple[list[Mode], float]:
    """The modes after the nominal state has absorbed the mean position, and that mean."""
    mean = sum(mode.mu * mode.x[0] for mode in modes)
    return [Mode(mode.x - [mean, 0.0], mode.P, mode.mu) for mode in modes], float(mean)


def predicted(modes: list[Mode], dt: float) -> list[Mode]:
    """Mixing and prediction (Bar-Shalom, Li and Kirubarajan 2001, section 11.6)."""
    s = (1.0 - np.exp(-2.0 * dt / SOJOURN_TIME)) / 2.0
    Pi = np.array([[1.0 - s, s], [s, 1.0 - s]])
    result = []
    for j in range(2):
        c = sum(Pi[i, j] * mode.mu for i, mode in enumerate(modes))
        mixing = [Pi[i, j] * mode.mu / c for i, mode in enumerate(modes)]
        x = sum(m * mode.x for m, mode in zip(mixing, modes, strict=True))
        P = sum(
            m * (mode.P + np.outer(mode.x - x, mode.x - x))
            for m, mode in zip(mixing, modes, strict=True)
        )
        a = np.exp(-dt / TAU[j])
        F = np.array([[1.0, TAU[j] * (1.0 - a)], [0.0, a]])
        Q = Q_DENSITY[j] * np.array([[dt**3 / 3.0, dt**2 / 2.0], [dt**2 / 2.0, dt]])
        result.append(Mode(F @ x, F @ P @ F.T + Q, float(c)))
    return result


def updated(modes: list[Mode], z: float, R: float) -> list[Mode]:
    """Mode likelihoods and measurement update."""
    H, result, weights = np.array([[1.0, 0.0]]), [], []
    for mode in modes:
        nu, S = z - mode.x[0], float((H @ mode.P @ H.T)[0, 0] + R)
        K = mode.P @ H.T / S
        weights.append(mode.mu * np.exp(-0.5 * nu**2 / S) / np.sqrt(2.0 * np.pi * S))
        result.append(Mode(mode.x + K[:, 0] * nu, mode.P - K @ H @ mode.P, 0.0))
    for mode, weight in zip(result, weights, strict=True):
        mode.mu = weight / sum(weights)
    return result


def test_imm_filter_equals_the_textbook() -> None:
    sigma, dt = np.array([[0.03]]), 1.0 / 30.0
    state = imm_filter.initialise(CHANNEL, sigma)
    rng = np.random.default_rng(0)
    for n in range(40):
        modes = modes_of(state)
        state, step = imm_filter.predict(CHANNEL, state, np.array([dt]))
        modes, expected_step = recentred(predicted(modes, dt))
        assert_equal(state, modes)
        assert step[0, 0, 0] == pytest.approx(expected_step, abs=1e-12)

        innovation = np.zeros((1, 3, 1))
        innovation[0, 0, 0] = 0.02 * rng.normal() + 0.01 * (n % 20 > 10)
        R = KAPPA * float(state.noise_scale[0, 0]) * 0.03**2
        state, step = imm_filter.update(CHANNEL, state, np.array([dt]), innovation, sigma)
        modes, expected_step = recentred(updated(modes, innovation[0, 0, 0], R))
        assert_equal(state, modes)
        assert step[0, 0, 0] == pytest.approx(expected_step, abs=1e-12)
