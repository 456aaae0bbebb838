# SPDX-License-Identifier: Apache-2.0
"""The solver in compiled code takes the same steps as that in NumPy, and may be missing."""

from __future__ import annotations

import builtins
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pear_ros.body import load_open_body
from pear_ros.body.kinematics import rotation_matrices
from pear_ros.core.camera import Camera
from pear_ros.fitting import solver
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS, AttachedPoints, BodyState, Skeleton
from pear_ros.fitting.solver import BodySolver, GaussianPrior, Observation, Solution

SKELETON = Skeleton(load_open_body())
NUM_BETAS = SKELETON.bone_dirs.shape[2]

Problem = tuple[BodyState, Observation, list[GaussianPrior], Camera]


def problem(
    seed: int, points: int = 33, distance: float = 4.0, spread: float = 0.3, priors: int = 2
) -> Problem:
    """A body seen by a random camera, with noisy landmarks, of which any may be unobserved."""
    rng = np.random.default_rng(seed)
    focal = rng.uniform(300.0, 2500.0)
    camera = Camera(1280, 720, focal, focal * rng.uniform(0.9, 1.1), 640.0, 360.0)
    pose = rng.normal(0.0, 0.5, (NUM_BODY_JOINTS, 3)).astype(np.float32)
    pose[0] = rng.uniform(-2.0, 2.0, 3)
    betas = rng.normal(0.0, 1.0, NUM_BETAS).astype(np.float32)
    truth = BodyState(rotation_matrices(pose), betas, np.array([0.1, 0.2, distance], np.float32))
    turns = rng.normal(0.0, spread, (NUM_BODY_JOINTS, 3)).astype(np.float32)
    start = BodyState(
        truth.rotations @ rotation_matrices(turns),
        betas + rng.normal(0.0, 0.5, NUM_BETAS).astype(np.float32),
        truth.transl + rng.normal(0.0, 0.05 * distance, 3).astype(np.float32),
    )
    attached = AttachedPoints(
        rng.integers(0, NUM_BODY_JOINTS, points),
        rng.normal(0.0, 0.1, (points, 3)).astype(np.float32),
    )
    where = SKELETON.points(SKELETON.pose(truth), attached)
    size = 1.8 * focal / distance
    pixels = where[:, :2] / np.maximum(where[:, 2:], 0.1) * focal + (camera.cx, camera.cy)
    pixels += rng.normal(0.0, 0.01 * size, pixels.shape)
    error = (0.01 * size * rng.uniform(1.0, 10.0, points)).astype(np.float32)
    error[rng.random(points) < rng.uniform(0.0, 1.0)] = np.inf
    free = np.full(3, np.inf)
    narrow = np.full(NUM_BODY_JOINTS, 0.2, np.float32)
    known = [
        GaussianPrior(start, 2.0 * narrow, np.full(NUM_BETAS, 0.7), free),
        GaussianPrior(truth, narrow, np.full(NUM_BETAS, np.inf), np.array([np.inf, np.inf, 0.1])),
    ]
    observed = Observation(attached, pixels.astype(np.float32), error)
    return start, observed, known[:priors], camera


def compiled() -> BodySolver:
    pytest.importorskip("numba", reason="this solver is compiled by numba")
    assert solver.compiled_solve() is not None
    return BodySolver(SKELETON)


def arrays(solution: Solution) -> list[Any]:
    state = solution.state
    return [state.rotations, state.betas, state.transl, np.float64(solution.cost)]


@settings(max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    points=st.integers(0, 40),
    distance=st.floats(0.3, 15.0),
    spread=st.floats(0.0, 0.6),
    priors=st.integers(1, 2),
)
def test_compiled_and_numpy_solver_agree_to_a_tenth_of_a_millimetre(
    seed: int, points: int, distance: float, spread: float, priors: int
) -> None:
    given_problem = problem(seed, points, distance, spread, priors)
    found, wanted = compiled()(*given_problem), BodySolver(SKELETON, compiled=False)(*given_problem)
    assert all(np.isfinite(values).all() for values in arrays(found))
    assert [values.dtype for values in arrays(found)] == [v.dtype for v in arrays(wanted)]
    joints, expected = (SKELETON.pose(s.state).position for s in (found, wanted))
    np.testing.assert_allclose(joints, expected, atol=1e-4)
    np.testing.assert_allclose(found.state.rotations, wanted.state.rotations, atol=1e-4)
    np.testing.assert_allclose(found.state.betas, wanted.state.betas, atol=1e-3)
    assert found.cost == pytest.approx(wanted.cost, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("with_numba", [False, True])
def test_cost_falls_from_that_of_the_start(
    with_numba: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    solve = compiled() if with_numba else BodySolver(SKELETON, compiled=False)
    given_problem = problem(1)
    costs = []
    for steps in (0, 1, 4):
        monkeypatch.setattr(solver, "_MAX_STEPS", steps)
        costs.append(solve(*given_problem).cost)
    assert costs[0] > costs[1] > costs[2] > 0.0


def test_compiled_solver_gives_the_same_bytes_in_any_thread() -> None:
    solve, problems = compiled(), [problem(seed) for seed in range(20)]
    wanted = [[values.tobytes() for values in arrays(solve(*each))] for each in problems]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda each: arrays(solve(*each)), problems * 5))
    assert [[values.tobytes() for values in one] for one in found] == wanted * 5


def test_compiled_solver_leaves_its_arguments_alone() -> None:
    start, observed, priors, camera = problem(3)
    before = [start.rotations.copy(), start.betas.copy(), start.transl.copy()]
    compiled()(start, observed, priors, camera)
    for now, then in zip((start.rotations, start.betas, start.transl), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("error", [ImportError("no numba"), RuntimeError("cannot cache function")])
def test_bodies_are_fitted_without_numba_or_a_cache(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_import = builtins.__import__

    def fail(name: str, *arguments: Any) -> Any:
        if name == "pear_ros.fitting.compiled_solver":
            raise error
        return real_import(name, *arguments)

    monkeypatch.delitem(sys.modules, "pear_ros.fitting.compiled_solver", raising=False)
    monkeypatch.setattr(builtins, "__import__", fail)
    assert solver.compiled_solve.__wrapped__() is None
