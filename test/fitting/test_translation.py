# SPDX-License-Identifier: Apache-2.0
"""Translation from landmarks: exact where they agree, in front of the camera where they do not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pear_ros.body import load_open_body
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array
from pear_ros.fitting.body_fitter import BodyFitter
from pear_ros.fitting.pose_prior import PosePrior
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS, AttachedPoints, BodyState, Skeleton
from pear_ros.fitting.translation import fit_translation
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.topology import Pose
from pear_ros.landmarks.types import PoseLandmarks

CAMERA = Camera(640, 480, 600.0, 610.0, 320.0, 240.0)
FACING = np.diag([1.0, -1.0, -1.0])
HEAD = slice(Pose.NOSE, Pose.MOUTH_RIGHT + 1)


def landmarks_of(turn: Rotation) -> Array:
    """(33, 3) landmarks of a body in the T-pose that turns from facing the camera, metres."""
    skeleton, prior = Skeleton(load_open_body()), PosePrior()
    rotations = np.tile(np.eye(3, dtype=np.float32), (NUM_BODY_JOINTS, 1, 1))
    rotations[0] = turn.as_matrix() @ FACING
    state = BodyState(rotations, np.zeros(skeleton.bone_dirs.shape[2]), np.zeros(3))
    points = AttachedPoints(prior.landmark_joint, prior.landmark_offset)
    return skeleton.points(skeleton.pose(state), points)


@pytest.mark.parametrize("transl", [(0.3, -0.4, 5.0), (1.5, 0.2, 2.5), (0.0, 0.0, 40.0)])
def test_translation_inverts_projection(transl: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(0.0, 0.5, (30, 3)).astype(np.float32)
    pixels = CAMERA.project(points + np.float32(transl))
    weights = rng.uniform(0.1, 1.0, 30)
    weights[::5], pixels[::5] = 0.0, 9999.0
    found = fit_translation(points, pixels, weights, CAMERA)
    np.testing.assert_allclose(found, transl, atol=2e-4 * transl[2])


def test_translation_of_a_person_who_reaches_towards_the_camera() -> None:
    points = landmarks_of(Rotation.from_euler("y", 80, degrees=True))
    transl = np.array([0.1, 0.2, 0.15], np.float32) - [0.0, 0.0, points[:, 2].min()]
    found = fit_translation(points, CAMERA.project(points + transl), np.ones(33), CAMERA)
    np.testing.assert_allclose(found, transl, atol=2e-3)


@pytest.mark.parametrize("wrong", [0, 60, 100, 180])
@pytest.mark.parametrize("axis", ["y", "z"])
def test_close_up_is_placed_by_its_size_where_the_head_is_turned_wrongly(
    axis: str, wrong: int
) -> None:
    seen = landmarks_of(Rotation.identity())
    transl = np.array([0.05, 0.1, 0.5]) - seen[HEAD].mean(axis=0)
    believed = landmarks_of(Rotation.from_euler(axis, wrong, degrees=True))
    weights = np.zeros(33)
    weights[HEAD] = 1.0
    found = fit_translation(believed, CAMERA.project(seen + transl), weights, CAMERA)
    depth = (believed + found)[HEAD, 2]
    assert depth.min() > 0.2
    assert 0.3 <= depth.mean() < 0.8
    middle = CAMERA.project((believed + found)[HEAD].mean(axis=0))
    np.testing.assert_allclose(middle, CAMERA.project(np.array([0.05, 0.1, 0.5])), atol=15.0)


@given(
    seed=st.integers(0, 2**32 - 1),
    points=st.integers(1, 33),
    spread=st.floats(0.0, 3.0),
    pixels=st.floats(0.0, 2000.0),
)
def test_whatever_is_observed_is_placed_in_front_of_the_camera(
    seed: int, points: int, spread: float, pixels: float
) -> None:
    rng = np.random.default_rng(seed)
    where = rng.normal(0.0, spread, (points, 3)).astype(np.float32)
    seen = rng.normal((320.0, 240.0), pixels, (points, 2)).astype(np.float32)
    weights = rng.uniform(0.01, 1.0, points) * (rng.random(points) < rng.uniform(0.0, 1.0))
    found = fit_translation(where, seen, weights, CAMERA)
    assert np.isfinite(found).all()
    depth = (where + found)[weights > 0.0, 2]
    assert (depth > 0.1 - 1e-4 * (1.0 + np.abs(found[2]))).all()


def test_a_body_behind_the_camera_is_a_bad_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Landmarks that project nowhere are infinitely far off: NaN would pass any bound."""
    points = landmarks_of(Rotation.identity())
    image = np.zeros((33, 3), np.float32)
    image[:, :2] = CAMERA.project(points + np.float32([0.0, 0.0, 4.0]))
    seen = np.ones(33, np.float32)
    pose = PoseLandmarks(image, points, seen, seen, 1.0, Roi(320.0, 240.0, 300.0))
    assert BodyFitter()(pose, CAMERA, None, 0.0).mismatch < 0.02
    behind = np.float32([0.0, 0.0, -4.0])
    monkeypatch.setattr("pear_ros.fitting.body_fitter.fit_translation", lambda *_: behind)
    monkeypatch.setattr("pear_ros.fitting.solver._MAX_STEPS", 0)
    assert BodyFitter()(pose, CAMERA, None, 0.0).mismatch == np.inf
