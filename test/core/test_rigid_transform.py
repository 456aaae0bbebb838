# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms, compared with SciPy's rotations."""

from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import numpy as np
from scipy.spatial.transform import Rotation

from pear_ros.core import quaternions
from pear_ros.core.rigid_transform import RigidTransform

triples = st.lists(st.floats(-4.0, 4.0), min_size=3, max_size=3).map(np.array)
poses = st.tuples(triples, triples)


def transform(pose: tuple[np.ndarray, np.ndarray]) -> RigidTransform:
    return RigidTransform.from_quaternion(pose[0], Rotation.from_rotvec(pose[1]).as_quat())


@hypothesis.given(poses, poses, triples)
def test_transforms_are_applied_chained_and_inverted(
    a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray], point: np.ndarray
) -> None:
    first, second = transform(a), transform(b)
    expected = Rotation.from_rotvec(a[1]).apply(point) + a[0]
    assert np.allclose(first.apply(point), expected)
    assert np.allclose((second @ first).apply(point), second.apply(expected))
    assert np.allclose(first.inverse().apply(expected), point)
    assert np.allclose(first.rotate(point), expected - a[0])
    assert np.isclose(first.angle, Rotation.from_rotvec(a[1]).magnitude(), atol=1e-6)


@hypothesis.given(triples)
def test_quaternion_is_that_of_the_rotation(vector: np.ndarray) -> None:
    rotation = Rotation.from_rotvec(vector)
    found = quaternions.from_matrix(rotation.as_matrix())
    assert found[3] >= 0.0
    assert (Rotation.from_quat(found).inv() * rotation).magnitude() < 1e-7


@hypothesis.given(triples, triples, st.floats(0.0, 1.0))
def test_slerp_turns_evenly_on_the_shortest_way(
    start: np.ndarray, end: np.ndarray, share: float
) -> None:
    first, last = Rotation.from_rotvec(start), Rotation.from_rotvec(end)
    way = (first.inv() * last).as_rotvec()
    hypothesis.assume(np.linalg.norm(way) < np.pi - 1e-6)
    found = Rotation.from_quat(quaternions.slerp(first.as_quat(), last.as_quat(), share))
    assert (found.inv() * (first * Rotation.from_rotvec(share * way))).magnitude() < 1e-6


def test_points_keep_their_dtype() -> None:
    points = np.ones((2, 3), np.float32)
    assert RigidTransform.identity().apply(points).dtype == np.float32
    assert RigidTransform.identity().rotate(points).dtype == np.float32
