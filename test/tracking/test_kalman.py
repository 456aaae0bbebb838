# SPDX-License-Identifier: Apache-2.0
"""Kalman filter of the roots of people, compared with the textbook's matrices."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import expm

from pear_ros.tracking.kalman import RootStates

TAU, SIGMA_V = 1.5, 1.6


@given(st.floats(0.0, 3.0), st.floats(0.0, 3.0))
def test_kalman_prediction_in_two_steps_equals_one(first: float, then: float) -> None:
    roots = np.array([[0.5, 0.2, 4.0], [-2.0, 0.3, 6.0]])
    moving = RootStates.initialise(roots, 0.0).predict(0.1).update([0, 1], roots + 0.1)
    once = moving.predict(0.1 + first + then)
    twice = moving.predict(0.1 + first).predict(0.1 + first + then)
    for name in ("root", "velocity", "variance", "covariance", "velocity_variance"):
        np.testing.assert_allclose(getattr(twice, name), getattr(once, name), atol=1e-9)
    assert (once.variance >= moving.variance - 1e-12).all(), "prediction adds uncertainty"
    assert (once.variance * once.velocity_variance >= once.covariance**2).all()


def test_kalman_prediction_equals_the_discretised_stochastic_process() -> None:
    """F and Q by the matrix exponential (Van Loan 1978) of dv = -v / tau dt + white noise."""
    dt = 0.7
    root = np.array([[0.5, 0.2, 4.0]])
    before = RootStates.initialise(root, 0.0).predict(0.1).update([0], root + 0.1)
    after = before.predict(0.1 + dt)
    A = np.array([[0.0, 1.0], [0.0, -1.0 / TAU]])
    noise = np.diag([0.0, 2.0 * SIGMA_V**2 / TAU])
    blocks = expm(dt * np.block([[-A, noise], [np.zeros((2, 2)), A.T]]))
    F = blocks[2:, 2:].T
    Q = F @ blocks[:2, 2:]
    for axis in range(3):
        x = F @ [before.root[0, axis], before.velocity[0, axis]]
        np.testing.assert_allclose([after.root[0, axis], after.velocity[0, axis]], x, rtol=1e-12)
    for part in range(2):
        P = F @ covariance(before, part) @ F.T + Q
        np.testing.assert_allclose(covariance(after, part), P, rtol=1e-9)


def test_kalman_update_equals_the_textbook() -> None:
    """Of a person on the optical axis, whose axes across and along are those of the frame."""
    root = np.array([[0.0, 0.0, 4.0]])
    before = RootStates.initialise(root, 0.0).predict(0.1)
    z = np.array([[0.0, 0.0, 4.1]])
    after = before.update([0], z)
    S = before.innovations(z).variance[0, 0]
    for part in range(2):
        P, H = covariance(before, part), np.array([[1.0, 0.0]])
        K = P @ H.T / S[part]
        np.testing.assert_allclose(covariance(after, part), P - K @ H @ P, rtol=1e-9)
    x = np.array([before.root[0, 2], before.velocity[0, 2]]) + K[:, 0] * (4.1 - 4.0)
    np.testing.assert_allclose([after.root[0, 2], after.velocity[0, 2]], x, rtol=1e-9)


def covariance(states: RootStates, part: int) -> np.ndarray:
    """P of the first person: across (part 0) or along (part 1) the line of sight."""
    P_rr, P_rv, P_vv = states.variance, states.covariance, states.velocity_variance
    return np.array([[P_rr[0, part], P_rv[0, part]], [P_rv[0, part], P_vv[0, part]]])
