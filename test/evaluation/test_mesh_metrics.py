# SPDX-License-Identifier: Apache-2.0
"""Metrics of meshes: cases with known answers, and independent implementations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import procrustes
from scipy.spatial.transform import Rotation

from pear_ros.evaluation.datasets.mesh_metrics import (
    f1_score,
    greatest_distance,
    hands_pa_pve,
    match_by_joints,
    pa_pve,
)
from pear_ros.evaluation.datasets.runs import mean_pck
from pear_ros.evaluation.datasets.smpl import read_smpl, smpl_vertices
from testing.dataset_files import write_smpl

RNG = np.random.default_rng(1)
TRUTH = RNG.normal(0.0, 0.1, (200, 3))


def moved(points: np.ndarray, scale: float = 1.3) -> np.ndarray:
    turn = Rotation.from_rotvec([0.3, -1.0, 2.0]).as_matrix()
    return scale * points @ turn.T + [1.0, -2.0, 5.0]


def test_pa_pve_ignores_a_similarity_and_sees_a_reflection() -> None:
    assert pa_pve(moved(TRUTH), TRUTH) < 1e-9
    assert pa_pve(TRUTH * [1, 1, -1], TRUTH) > 10.0


def test_pa_pve_is_scipys_procrustes() -> None:
    """SciPy's fits with reflections, so that these points are nearly aligned; its unit is norm."""
    found = moved(TRUTH + RNG.normal(0.0, 0.01, TRUTH.shape))
    size = np.linalg.norm(TRUTH - TRUTH.mean(axis=0))
    first, second, _ = procrustes(TRUTH, found)
    expected = 1000.0 * size * np.linalg.norm(first - second, axis=1).mean()
    assert pa_pve(found, TRUTH) == pytest.approx(expected, rel=1e-9)


def test_pa_pve_beats_a_search_of_similarities() -> None:
    """The sum of squares, which it minimises, is not improved by any small change."""
    found = TRUTH[:20] + RNG.normal(0.0, 0.03, (20, 3))
    from pear_ros.evaluation.pose_metrics import aligned

    best = aligned(moved(found), TRUTH[:20])
    least = ((best - TRUTH[:20]) ** 2).sum()
    for _ in range(200):
        turn = Rotation.from_rotvec(RNG.normal(0.0, 0.02, 3)).as_matrix()
        other = (1.0 + RNG.normal(0.0, 0.02)) * best @ turn.T + RNG.normal(0.0, 0.002, 3)
        assert ((other - TRUTH[:20]) ** 2).sum() >= least


def test_unknown_vertices_are_left_out() -> None:
    found = moved(TRUTH)
    found[3:9] = np.nan
    assert pa_pve(found, TRUTH) < 1e-9
    assert np.isnan(pa_pve(np.full_like(TRUTH, np.nan), TRUTH))


def test_hands_are_aligned_each_on_their_own() -> None:
    hands = [np.arange(30), np.arange(100, 140)]
    found = TRUTH.copy()
    found[hands[0]] = moved(TRUTH[hands[0]])
    found[hands[1]] = moved(TRUTH[hands[1]], 0.5) * 2.0
    assert hands_pa_pve(found, TRUTH, hands) < 1e-9
    seen = np.ones(200, bool)
    seen[hands[0]] = False
    found[hands[0]] = RNG.normal(size=(30, 3))
    assert hands_pa_pve(found, TRUTH, hands, seen) < 1e-9, "a hand outside the picture is left out"
    assert np.isnan(hands_pa_pve(found, TRUTH, hands, np.zeros(200, bool)))


def test_greatest_distance_is_of_the_worst_point() -> None:
    found = TRUTH.copy()
    found[7] += [0.003, 0.0, 0.004]
    assert greatest_distance(found, TRUTH) == pytest.approx(5.0)


def test_f1_is_the_harmonic_mean() -> None:
    precision, recall = 8 / 10, 8 / 13
    assert f1_score(8, 2, 5) == pytest.approx(2 / (1 / precision + 1 / recall))
    assert f1_score(0, 0, 3) == 0.0 and np.isnan(f1_score(0, 0, 0))


def person(x: float, size: float = 100.0) -> np.ndarray:
    base = np.random.default_rng(0).random((24, 2))
    return base * size + [x, 50.0]


def test_people_are_matched_by_their_joints() -> None:
    found = np.stack([person(405.0), person(102.0), person(1000.0)])
    truth = np.stack([person(100.0), person(400.0), person(700.0)])
    pairs, strangers = match_by_joints(found, truth, np.array([True, True, True]))
    assert sorted(pairs) == [(0, 1), (1, 0)] and strangers == [2]
    pairs, strangers = match_by_joints(found, truth, np.array([True, False, True]))
    assert pairs == [(1, 0)] and strangers == [0, 2]


def test_nearest_pairs_come_first_and_unknown_joints_never() -> None:
    """By the least sum it would be the other way round."""
    truth = np.stack([person(100.0), person(130.0)])
    found = np.stack([person(128.0), person(165.0)])
    pairs, _ = match_by_joints(found, truth, np.ones(2, bool))
    assert pairs == [(0, 1), (1, 0)]
    found[0, 3] = np.nan
    pairs, strangers = match_by_joints(found, truth, np.ones(2, bool))
    assert pairs == [(1, 1)] and strangers == [0]
    assert match_by_joints(found[:0], truth, np.ones(2, bool)) == ([], [])
    assert match_by_joints(found, truth[:0], np.ones(0, bool)) == ([], [0, 1])


def test_pck_is_the_mean_of_the_keypoints() -> None:
    """One keypoint that is labelled rarely weighs as much as the others."""
    distances = np.full((4, 17), np.nan)
    distances[:, 0] = [0.01, 0.02, 0.03, 0.2]
    distances[0, 5] = np.inf
    figure = mean_pck("PCK", distances, 0.05)
    assert figure.value == pytest.approx(100.0 * (0.75 + 0.0) / 2) and figure.count == 5
    assert np.isnan(mean_pck("PCK", distances[:0], 0.05).value)


def test_smpl_is_that_of_the_smplx_package(tmp_path: Path) -> None:
    smplx = pytest.importorskip("smplx")
    torch = pytest.importorskip("torch")
    arrays = write_smpl(tmp_path)
    pose, betas = RNG.normal(0.0, 0.5, 72), RNG.normal(0.0, 1.0, 10)
    transl = np.array([0.1, -0.2, 3.0])
    found = smpl_vertices(read_smpl(tmp_path / "SMPL_MALE.pkl"), pose, betas, transl)
    model = smplx.SMPL("", data_struct=smplx.utils.Struct(**arrays), num_betas=10)
    turn = torch.tensor(pose[None], dtype=torch.float32)
    with torch.no_grad():
        expected = model(
            betas=torch.tensor(betas[None], dtype=torch.float32),
            global_orient=turn[:, :3],
            body_pose=turn[:, 3:],
            transl=torch.tensor(transl[None], dtype=torch.float32),
        ).vertices[0]
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-5)
