# SPDX-License-Identifier: Apache-2.0
"""Errors in space against known answers, and what they do not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from pear_ros.evaluation import pose_metrics
from pear_ros.evaluation.labels import Doubles

POINTS = st.integers(0, 9999).map(lambda seed: np.random.default_rng(seed).normal(size=(12, 3)))
VECTORS = arrays(float, 3, elements=st.floats(-3.0, 3.0))


@given(POINTS, POINTS, VECTORS, VECTORS, st.floats(0.1, 10.0))
def test_pa_mpjpe_does_not_depend_on_rotation_scale_and_place(
    found: Doubles, truth: Doubles, turn: Doubles, move: Doubles, scale: float
) -> None:
    moved = scale * Rotation.from_rotvec(turn).apply(found) + move
    assert pose_metrics.pa_mpjpe(moved, truth) == pytest.approx(
        pose_metrics.pa_mpjpe(found, truth), abs=1e-3
    )
    assert pose_metrics.pa_mpjpe(moved, found) == pytest.approx(0.0, abs=1e-3)


@given(POINTS, POINTS)
def test_no_alignment_is_nearer_by_least_squares(found: Doubles, truth: Doubles) -> None:
    def squares(points: Doubles) -> float:
        return float(((points - truth) ** 2).sum())

    best = squares(pose_metrics.aligned(found, truth))
    assert best <= squares(found) + 1e-9
    assert best <= squares(found - found.mean(axis=0) + truth.mean(axis=0)) + 1e-9


def test_a_mirrored_person_is_not_aligned() -> None:
    truth = np.random.default_rng(0).normal(size=(12, 3))
    assert pose_metrics.pa_mpjpe(truth * [-1, 1, 1], truth) > 100.0


def test_known_distances() -> None:
    truth = np.zeros((4, 3))
    found = np.array([[0.0, 0.0, 0.1], [0.3, 0.0, 0.4], [0.0, 0.0, 0.0], [np.nan, 0.0, 0.0]])
    assert pose_metrics.mpjpe(found, truth) == pytest.approx(200.0)
    root = np.array([0.0, 0.0, 0.1])
    assert pose_metrics.root_relative_error(found[:1], truth[:1], root, truth[0]) == 0.0
    assert np.isnan(pose_metrics.pa_mpjpe(found[:2], truth[:2]))


def torso(turn: Rotation) -> Doubles:
    """Shoulders and hips of a person with left along x, up along y, forward along z."""
    return np.array(turn.apply([[0.2, 0.5, 0], [-0.2, 0.5, 0], [0.1, 0, 0], [-0.1, 0, 0]]))


@given(VECTORS)
def test_orientation_of_a_torso(turn: Doubles) -> None:
    rotation = Rotation.from_rotvec(turn)
    axes = pose_metrics.torso_orientation(torso(rotation))
    np.testing.assert_allclose(axes, rotation.as_matrix(), atol=1e-9)
    upright = np.eye(3)
    error = float(pose_metrics.rotation_error(axes, upright))
    assert error == pytest.approx(np.degrees(rotation.magnitude()), abs=1e-3)


def test_facing_is_the_direction_of_the_chest() -> None:
    turned = pose_metrics.torso_orientation(torso(Rotation.from_euler("y", 150, degrees=True)))
    rolled = pose_metrics.torso_orientation(torso(Rotation.from_euler("z", 150, degrees=True)))
    assert float(pose_metrics.facing_error(turned, np.eye(3))) == pytest.approx(150.0)
    assert float(pose_metrics.facing_error(rolled, np.eye(3))) == pytest.approx(0.0, abs=1e-5)


def test_swapped_limbs() -> None:
    truth = np.zeros((3, 2, 3, 3))
    truth[:, 0, :, 0], truth[:, 1, :, 0] = 0.3, -0.3
    found = truth + 0.05
    found[1] = found[1, ::-1]
    assert pose_metrics.swapped(found, truth).tolist() == [False, True, False]


def test_changes_are_beginnings_per_second() -> None:
    wrong = np.array([True, True, False, True, False, False])
    known = np.array([True, True, True, True, True, False])
    assert pose_metrics.changes_per_second(wrong, known, 2.0) == 1.0
    assert pose_metrics.changes_per_second(~wrong, known, 2.0) == 1.0
    assert np.isnan(pose_metrics.changes_per_second(wrong, ~known & False, 2.0))


def test_acceleration_error_of_a_known_motion() -> None:
    time = np.arange(6) / 30.0
    truth = np.zeros((6, 2, 3))
    truth[:, :, 0] = time[:, None] ** 2  # 2 m/s^2
    found = truth.copy()
    found[:, :, 1] = 1.5 * time[:, None] ** 2  # 3 m/s^2 more
    error = pose_metrics.acceleration_error(found, truth + 7.0, 1 / 30.0)
    np.testing.assert_allclose(error, 3.0)
    found[2, 0] = np.nan
    known = np.isfinite(pose_metrics.acceleration_error(found, truth, 1 / 30.0))
    assert known.tolist() == [False, False, False, True]
