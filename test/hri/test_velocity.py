# SPDX-License-Identifier: Apache-2.0
"""Velocity over the images of a track."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from pear_ros.hri.velocity import Velocity

SPEED = np.array([0.8, 0.0, -0.4])


def test_constant_velocity_is_exact_from_the_second_position_on() -> None:
    velocity = Velocity()
    assert np.isnan(velocity.update(0.0, np.zeros(3))).all()
    for second in (0.03, 0.07, 0.2, 0.9, 1.5):
        np.testing.assert_allclose(velocity.update(second, second * SPEED), SPEED)


def test_trembling_is_averaged() -> None:
    rng = np.random.default_rng(0)
    velocity = Velocity()
    errors = [
        velocity.update(t, t * SPEED + rng.normal(0, 0.005, 3)) - SPEED for t in np.arange(60) / 15
    ]
    assert np.abs(errors[30:]).max() < 0.08  # a single difference has errors of 0.1 m/s


def test_stop_is_seen_within_a_second() -> None:
    velocity = Velocity()
    for tenth in range(30):
        found = velocity.update(tenth / 10, min(tenth, 20) / 10 * SPEED)
    assert np.linalg.norm(found) < 0.15 * np.linalg.norm(SPEED)


def test_unknown_positions_pauses_and_jumps() -> None:
    velocity = Velocity()
    unknown = np.full(3, np.nan)
    for tenth in range(3):
        velocity.update(tenth / 10, tenth / 10 * SPEED)
    np.testing.assert_allclose(velocity.update(0.3, unknown), SPEED)
    np.testing.assert_allclose(velocity.update(0.4, 0.4 * SPEED), SPEED)
    np.testing.assert_allclose(velocity.update(0.4, 9.0 * SPEED), SPEED)  # the same image again
    assert np.isnan(velocity.update(1.5, unknown)).all()
    assert np.isnan(velocity.update(1.6, 9.0 * SPEED)).all()
    np.testing.assert_allclose(velocity.update(1.7, 9.1 * SPEED), SPEED)
    assert np.isnan(velocity.update(0.5, np.zeros(3))).all()  # stamps jumped back


@example([(-2.5e-24, 0.0), (0.0, 0.0)])
@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=8))
def test_any_input_is_endured(images: list[tuple[float, float]]) -> None:
    velocity = Velocity()
    for seconds, place in images:
        with np.errstate(all="ignore"):
            assert velocity.update(seconds, np.full(3, place)).shape == (3,)
