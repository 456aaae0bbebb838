# SPDX-License-Identifier: Apache-2.0
"""Fitting: derivatives, solver, hands, face and root orientation, each against ground truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pear_ros.body import load_open_body
from pear_ros.body.kinematics import rotation_matrices
from pear_ros.body.model_files import load_surface_points
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Region
from pear_ros.core.people import NUM_JOINTS, SMPLX_JOINT_NAMES, Array
from pear_ros.estimators.landmark_estimator import LandmarkEstimator
from pear_ros.fitting import BodyFit, BodyFitter
from pear_ros.fitting.face_fitter import FaceFitter
from pear_ros.fitting.hand_fitter import FINGERS, HandFitter
from pear_ros.fitting.pose_prior import confidence, front_back_swapped, viewing_rotation
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS, AttachedPoints, BodyState, Skeleton
from pear_ros.fitting.solver import BodySolver, GaussianPrior, Observation
from pear_ros.landmarks.holistic import HolisticLandmarks
from pear_ros.landmarks.pose import roi_from_box
from pear_ros.landmarks.roi import Roi
from pear_ros.training.studio import SyntheticStudio

CAMERA = Camera(640, 480, 600.0, 610.0, 320.0, 240.0)
BODY = load_open_body()
SKELETON = Skeleton(BODY)
INDEX = {name: number for number, name in enumerate(SMPLX_JOINT_NAMES)}


def random_state(seed: int, turn: float = 0.4) -> BodyState:
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, turn, (NUM_BODY_JOINTS, 3)).astype(np.float32)
    pose[0] = [np.pi * 0.95, 0.1, 0.2]
    betas = rng.normal(0, 1, BODY.num_betas).astype(np.float32)
    return BodyState(rotation_matrices(pose), betas, np.array([0.2, -0.1, 4.0], np.float32))


def points_everywhere() -> AttachedPoints:
    rng = np.random.default_rng(1)
    offset = rng.normal(0, 0.05, (NUM_BODY_JOINTS, 3)).astype(np.float32)
    return AttachedPoints(np.arange(NUM_BODY_JOINTS), offset)


def moved(state: BodyState, parameter: int, by: float) -> BodyState:
    change = np.zeros(3 * NUM_BODY_JOINTS + BODY.num_betas + 3, np.float32)
    change[parameter] = by
    turns = rotation_matrices(change[: 3 * NUM_BODY_JOINTS].reshape(-1, 3))
    return BodyState(
        state.rotations @ turns,
        state.betas + change[3 * NUM_BODY_JOINTS : -3],
        state.transl + change[-3:],
    )


def test_skeleton_has_the_joints_of_the_body() -> None:
    state = random_state(0)
    pose = np.zeros((1, NUM_JOINTS, 3), np.float32)
    pose[0, :NUM_BODY_JOINTS] = Rotation.from_matrix(state.rotations).as_rotvec()
    expression = np.zeros((1, BODY.num_expression), np.float32)
    joints = BODY.joints(pose, state.betas[None], expression, state.transl[None])[0]
    np.testing.assert_allclose(SKELETON.pose(state).position, joints[:NUM_BODY_JOINTS], atol=1e-4)


def test_jacobian_agrees_with_finite_differences() -> None:
    state, points, step = random_state(2), points_everywhere(), 1e-2
    posed = SKELETON.pose(state)
    jacobian = SKELETON.jacobian(posed, points, SKELETON.points(posed, points))
    for parameter in range(jacobian.shape[2]):
        ends = [
            SKELETON.points(SKELETON.pose(moved(state, parameter, by)), points)
            for by in (step, -step)
        ]
        difference = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(jacobian[:, :, parameter], difference, atol=2e-3)


def test_solver_finds_the_body_behind_the_pixels() -> None:
    truth, points = random_state(3), points_everywhere()
    rng = np.random.default_rng(4)
    nearby = rng.normal(0, 0.15, (NUM_BODY_JOINTS, 3)).astype(np.float32)
    start = BodyState(
        truth.rotations @ rotation_matrices(nearby),
        truth.betas,
        truth.transl + np.array([0.1, 0.1, 0.3], np.float32),
    )
    target = CAMERA.project(SKELETON.points(SKELETON.pose(truth), points))
    tight = np.full(len(truth.betas), 0.5)
    prior = GaussianPrior(start, np.full(NUM_BODY_JOINTS, 0.2), tight, np.full(3, np.inf))
    observed = Observation(points, target, np.full(NUM_BODY_JOINTS, 2.0, np.float32))
    solved = BodySolver(SKELETON)(start, observed, [prior], CAMERA).state

    def pixels_off(state: BodyState) -> float:
        found = CAMERA.project(SKELETON.points(SKELETON.pose(state), points))
        return float(np.linalg.norm(found - target, axis=1).mean())

    assert pixels_off(start) > 10.0
    assert pixels_off(solved) < 2.0, "within the error that the pixels are said to have"
    np.testing.assert_allclose(
        solved.rotations @ solved.rotations.swapaxes(1, 2),
        np.tile(np.eye(3), (NUM_BODY_JOINTS, 1, 1)),
        atol=1e-4,
    )


def test_solver_ignores_unobserved_points_and_resists_outliers() -> None:
    truth, points = random_state(5), points_everywhere()
    target = CAMERA.project(SKELETON.points(SKELETON.pose(truth), points))
    broken = target.copy()
    broken[[3, 20]] = (5.0, 470.0)
    error = np.full(NUM_BODY_JOINTS, 2.0, np.float32)
    error[3] = np.inf
    wide = np.full(NUM_BODY_JOINTS, 0.3)
    spread = np.full(len(truth.betas), 1.0)
    prior = GaussianPrior(truth, wide, spread, np.full(3, np.inf))
    observed = Observation(points, broken, error)
    solved = BodySolver(SKELETON)(truth, observed, [prior], CAMERA).state
    found = CAMERA.project(SKELETON.points(SKELETON.pose(solved), points))
    off = np.linalg.norm(found - target, axis=1)
    assert np.median(off) < 2.0
    assert np.isfinite(solved.rotations).all()


@pytest.mark.parametrize(("x", "y"), [(320.0, 240.0), (10.0, 400.0), (630.0, 5.0)])
def test_viewing_rotation_turns_the_axis_to_the_ray(x: float, y: float) -> None:
    turn = viewing_rotation(Roi(x, y, 100.0), CAMERA)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-6)
    assert np.linalg.det(turn) == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(CAMERA.project(turn[:, 2]), [x, y], atol=1e-2)


def test_confidence_falls_with_the_error() -> None:
    values = confidence(np.array([0.001, 0.05, 0.1, 0.3, 1.0], np.float32))
    assert values[0] == pytest.approx(1.0, abs=1e-3)
    assert (np.diff(values) < 0).all()
    assert values[-1] < 0.01


def hand_landmarks(side: str, pose: Array) -> Array:
    """(21, 3) landmarks of the body's own hand in a pose, in MediaPipe's order."""
    surface = load_surface_points()
    arguments = (
        pose[None],
        np.zeros((1, BODY.num_betas), np.float32),
        np.zeros((1, BODY.num_expression), np.float32),
        np.zeros((1, 3), np.float32),
    )
    joints, vertices = BODY.joints(*arguments)[0], BODY.vertices(*arguments)[0]
    rows = [joints[INDEX[f"{side}_wrist"]]]
    for finger in ("thumb", "index", "middle", "ring", "pinky"):
        rows += [joints[INDEX[f"{side}_{finger}{k}"]] for k in (1, 2, 3)]
        rows.append(vertices[surface.vertices[f"{side}_{finger}_tip"]])
    return np.array(rows)


@pytest.mark.parametrize("side", ["left", "right"])
def test_hand_is_posed_as_its_landmarks(side: str) -> None:
    curl = -1.0 if side == "left" else 1.0
    pose = np.zeros((NUM_JOINTS, 3), np.float32)
    pose[0] = [0.3, 0.5, -0.2]
    pose[INDEX[f"{side}_wrist"]] = [0.4, 0.2, -0.3]
    for finger, angle in (("index", 0.2), ("middle", 0.9), ("ring", 1.1), ("pinky", 0.5)):
        pose[INDEX[f"{side}_{finger}1"], 2] = curl * angle
        pose[INDEX[f"{side}_{finger}2"], 2] = curl * angle
    tips = load_surface_points().vertices
    fitter = HandFitter(BODY, np.array([tips[f"{side}_{f}_tip"] for f in FINGERS]), side)
    forearm = Rotation.from_rotvec(pose[0]).as_matrix()
    world = hand_landmarks(side, pose)
    posed = fitter(world - world.mean(axis=0), forearm)
    assert posed is not None
    wrist, fingers = posed
    again = pose.copy()
    again[INDEX[f"{side}_wrist"]] = Rotation.from_matrix(wrist).as_rotvec()
    again[INDEX[f"{side}_index1"] :][:15] = fingers
    off = np.linalg.norm(hand_landmarks(side, again) - world, axis=1)
    assert off.max() < 0.006, "metres"


def test_hand_that_contradicts_the_forearm_is_rejected() -> None:
    tips = load_surface_points().vertices
    fitter = HandFitter(BODY, np.array([tips[f"left_{f}_tip"] for f in FINGERS]), "left")
    world = hand_landmarks("left", np.zeros((NUM_JOINTS, 3), np.float32))
    backwards = Rotation.from_rotvec([0.0, np.pi * 0.9, 0.0]).as_matrix()
    assert fitter(world, backwards) is None


def face_fitter() -> FaceFitter:
    surface = load_surface_points()
    return FaceFitter(BODY, surface.face_corners, surface.face_barycentric)


def face_landmarks(pose: Array, expression: Array, camera_from_body: Array) -> Array:
    """(468, 3) pixels of the body's own face, seen from far away."""
    surface = load_surface_points()
    vertices = BODY.vertices(
        pose[None],
        np.zeros((1, BODY.num_betas), np.float32),
        expression[None],
        np.zeros((1, 3), np.float32),
    )[0]
    points = (vertices[surface.face_corners] * surface.face_barycentric[..., None]).sum(axis=1)
    return (points @ camera_from_body.T * 800.0).astype(np.float32)


@pytest.mark.parametrize("name", ["mouthSmileLeft", "eyeBlinkRight", "browInnerUp", "cheekPuff"])
def test_face_fitter_separates_expressions(name: str) -> None:
    expression = np.zeros(BODY.num_expression, np.float32)
    expression[BODY.expression_names.index(name)] = 0.8
    facing = np.diag([1.0, -1.0, -1.0])
    pose = np.zeros((NUM_JOINTS, 3), np.float32)
    fit = face_fitter()(face_landmarks(pose, expression, facing), np.eye(3))
    assert BODY.expression_names[int(fit.expression.argmax())] == name
    assert 0.4 < fit.expression.max() <= 1.0
    assert fit.jaw < 0.05


def test_face_fitter_finds_jaw_and_head_orientation() -> None:
    pose = np.zeros((NUM_JOINTS, 3), np.float32)
    pose[INDEX["jaw"], 0] = 0.25
    turn = Rotation.from_euler("yx", [25, 10], degrees=True).as_matrix() @ np.diag([1.0, -1, -1])
    expression = np.zeros(BODY.num_expression, np.float32)
    fit = face_fitter()(face_landmarks(pose, expression, turn), np.eye(3))
    assert fit.jaw == pytest.approx(0.25, abs=0.08)
    off = Rotation.from_matrix(fit.orientation.T @ turn).magnitude()
    assert np.degrees(off) < 4.0
    assert fit.expression.max() < 0.3


@pytest.fixture(scope="module")
def estimator() -> LandmarkEstimator:
    return LandmarkEstimator()


@pytest.mark.parametrize("yaw", [0, 90, 180, 270])
def test_root_orientation_follows_the_yaw(estimator: LandmarkEstimator, yaw: int) -> None:
    rng = np.random.default_rng([7, yaw])
    person = SyntheticStudio().shoot(rng, "standing", yaw, (480, 480))
    pixels = person.camera.project(person.vertices)
    estimator.reset()
    region = Region("h1", np.concatenate([pixels.min(axis=0), pixels.max(axis=0)]))
    estimate = estimator.estimate(person.image, person.camera, [region], 0.0)[0]
    assert estimate is not None
    root = Rotation.from_rotvec(estimate.smplx.pose[0]).as_matrix()
    chest = root[:, 2] @ person.rotations[0][:, 2]
    assert chest > np.cos(np.radians(45)), "the chest points where the true one does"
    assert root[:, 1] @ person.rotations[0][:, 1] > np.cos(np.radians(30)), "upright"
    off = np.linalg.norm(
        estimate.keypoints[:22] - person.camera.project(person.joints[:22]), axis=1
    )
    assert off.mean() < 0.05 * 480
    assert estimate.joint_confidence.min() >= 0.0
    assert estimate.joint_confidence.max() <= 1.0


def test_body_fitter_rejects_a_sudden_front_back_swap(
    estimator: LandmarkEstimator,
) -> None:
    person = SyntheticStudio().shoot(np.random.default_rng([7, 0]), "standing", 0, (480, 480))
    pixels = person.camera.project(person.vertices)
    box = np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])
    (seen,) = HolisticLandmarks(threads=1)(person.image, [roi_from_box(box)])
    assert seen is not None
    confused = front_back_swapped(seen.pose)
    fitter = BodyFitter()

    def facing(fit: BodyFit) -> float:
        return float(fit.state.rotations[0][2, 2])

    first = fitter(seen.pose, person.camera, None, 0.0)
    assert facing(first) < -0.7, "towards the camera"
    fit = first
    for _ in range(10):
        fit = fitter(seen.pose, person.camera, fit, 0.1)
    fit = fitter(confused, person.camera, fit, 0.1)
    assert facing(fit) < -0.7, "not against what was seen a moment ago"
