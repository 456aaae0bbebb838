# SPDX-License-Identifier: Apache-2.0
"""Measurement noise: adaptation, outliers and jumps of one person with few channels."""

from __future__ import annotations

import numpy as np
import pytest

from pear_ros.smoothing.measurement_noise import adapt_noise_scale, jumps, outlier_inflation


def vectors(*x: float) -> np.ndarray:
    """(1, 3, C) vectors along the first axis."""
    result = np.zeros((1, 3, len(x)))
    result[0, 0] = x
    return result


def test_outlier_inflation_begins_at_four_times_the_expectation() -> None:
    inflation = outlier_inflation(np.array([[0.0, 1.0, 4.0, 8.0, 40.0]]), np.ones((1, 5)))
    np.testing.assert_allclose(inflation, [[1.0, 1.0, 1.0, 4.0, 100.0]])


def test_jumps_are_outliers_that_agree_with_the_one_before() -> None:
    share, outlier = np.zeros(3), np.array([[True, True, False]])
    error = vectors(0.5, 0.9, 0.5)
    assert jumps(share, outlier, np.ones((1, 3)), error).tolist() == [[True, False, False]]


@pytest.mark.parametrize(("outliers", "jump"), [(2, False), (3, True)])
def test_jumps_of_a_person_are_many_outliers_at_once(outliers: int, jump: bool) -> None:
    share = np.append(np.full(10, 0.1), 0.0)
    outlier = np.append(np.arange(10) < outliers, True)[None]
    found = jumps(share, outlier, np.ones((1, 11)), vectors(*np.full(11, 2.0)))
    assert found.tolist() == [[bool(one) and jump for one in outlier[0, :10]] + [False]]


def test_noise_scale_approaches_the_negative_product_of_displacement_errors() -> None:
    scale = np.ones((1, 3))
    d, last_d = vectors(1.5, 1.5, 30.0), vectors(-1.0, 1.0, -30.0)
    for _ in range(200):
        scale = adapt_noise_scale(scale, d, last_d, np.ones((1, 3)), np.array([0.1]))
    np.testing.assert_allclose(scale, [[1.5, 0.05**2, 2.5**2]], rtol=1e-3)
    step = adapt_noise_scale(np.ones((1, 3)), d, last_d, np.ones((1, 3)), np.array([0.1]))
    assert step[0, 2] - 1.0 == pytest.approx((1.0 - np.exp(-0.05)) * 3.0), "limited to 4"
