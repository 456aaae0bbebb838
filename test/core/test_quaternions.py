# SPDX-License-Identifier: Apache-2.0
"""Quaternions, compared with SciPy's rotations."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import numpy as np
from scipy.spatial.transform import Rotation

from pear_ros.core import quaternions

vectors = st.lists(st.floats(-4.0, 4.0), min_size=3, max_size=3).map(np.array)
tiny = st.lists(st.floats(-1e-9, 1e-9), min_size=3, max_size=3).map(np.array)


@hypothesis.given(st.one_of(vectors, tiny), st.one_of(vectors, tiny))
def test_quaternions_agree_with_scipy(one: np.ndarray, other: np.ndarray) -> None:
    a, b = (quaternions.from_vectors(v[None]) for v in (one, other))
    first, second = Rotation.from_rotvec(one), Rotation.from_rotvec(other)

    def off(found: np.ndarray, expected: Rotation) -> float:
        return float((Rotation.from_quat(found[0]).inv() * expected).magnitude())

    assert off(quaternions.product(a, b), first * second) < 1e-9
    assert off(quaternions.difference(a, b), first.inv() * second) < 1e-9
    for sign in (1.0, -1.0):
        back = quaternions.to_vectors(sign * a)[0]
        assert np.linalg.norm(back) < np.pi + 1e-9
        assert (Rotation.from_rotvec(back).inv() * first).magnitude() < 1e-9


@hypothesis.given(vectors, st.one_of(vectors, st.none()))
@hypothesis.example(np.array([0.0, 0.0, 2.0]), None)
def test_rotation_between_directions_is_the_shortest(
    start: np.ndarray, end: np.ndarray | None
) -> None:
    end = -start if end is None else end  # opposite directions
    hypothesis.assume(min(np.linalg.norm(start), np.linalg.norm(end)) > 1e-3)
    turn = Rotation.from_quat(quaternions.between(start, end))
    a, b = start / np.linalg.norm(start), end / np.linalg.norm(end)
    np.testing.assert_allclose(turn.apply(a), b, atol=1e-5)
    angle = np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)
    assert abs(turn.magnitude() - angle) < 1e-5
