# SPDX-License-Identifier: Apache-2.0
"""The learned pose prior: what its network sees, and what it says about itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pear_ros.body import load_open_body
from pear_ros.core.camera import Camera
from pear_ros.core.people import SMPLX_JOINT_NAMES
from pear_ros.fitting.pose_prior import (
    PosePrior,
    mirrored_input,
    prior_input,
    upright_rotation,
)
from pear_ros.fitting.skeleton import AttachedPoints, BodyState, Skeleton
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.topology import NUM_POSE, Pose
from pear_ros.landmarks.types import PoseLandmarks

CAMERA = Camera(640, 480, 600.0, 600.0, 320.0, 240.0)
PRIOR = PosePrior()


def standing(yaw: float) -> tuple[PoseLandmarks, BodyState]:
    """True landmarks of a body at rest, 4 m away, and its state."""
    body = load_open_body()
    rotations = np.tile(np.eye(3, dtype=np.float32), (22, 1, 1))
    for side, joint in ((1, 16), (-1, 17)):  # arms hang down
        rotations[joint] = Rotation.from_rotvec([0, 0, -side * 1.3]).as_matrix()
    facing = np.diag([1.0, -1.0, -1.0]) @ Rotation.from_rotvec([0, yaw, 0]).as_matrix()
    rotations[0] = facing
    state = BodyState(
        rotations, np.zeros(body.num_betas, np.float32), np.array([0.1, 0.2, 4.0], np.float32)
    )
    skeleton = Skeleton(body)
    points = skeleton.points(
        skeleton.pose(state), AttachedPoints(PRIOR.landmark_joint, PRIOR.landmark_offset)
    )
    pixels, hips = CAMERA.project(points), points[23:25].mean(axis=0)
    depth = (points[:, 2:] - hips[2]) / hips[2] * CAMERA.fx
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    centre = (low + high) / 2
    pose = PoseLandmarks(
        image=np.hstack([pixels, depth]).astype(np.float32),
        world=(points - hips).astype(np.float32),
        visibility=np.full(NUM_POSE, 0.99, np.float32),
        presence=np.full(NUM_POSE, 0.99, np.float32),
        score=1.0,
        roi=Roi(float(centre[0]), float(centre[1]), 1.25 * float((high - low).max())),
    )
    return pose, state


@pytest.mark.parametrize("yaw", [0.0, 1.5, 3.1, -1.5])
def test_prior_finds_a_body_behind_true_landmarks(yaw: float) -> None:
    pose, state = standing(yaw)
    found = PRIOR(pose, CAMERA)
    turns = Rotation.from_matrix(found.rotations.swapaxes(1, 2) @ state.rotations).magnitude()
    assert np.degrees(turns[0]) < 20.0
    assert np.degrees(turns[:13].mean()) < 20.0, "without the arms"
    for error in (found.joint_error, found.rotation_error):
        assert error.shape == (22,)
        assert (error > 0.0).all() and np.isfinite(error).all()


def test_joints_of_an_invisible_arm_are_expected_to_be_less_accurate() -> None:
    pose, _ = standing(0.3)
    visibility = pose.visibility.copy()
    visibility[[Pose.LEFT_ELBOW, Pose.LEFT_WRIST, Pose.LEFT_INDEX, Pose.LEFT_PINKY]] = 0.05
    seen, hidden = PRIOR(pose, CAMERA), PRIOR(replace(pose, visibility=visibility), CAMERA)
    wrist, elbow = (SMPLX_JOINT_NAMES.index(f"left_{name}") for name in ("wrist", "elbow"))
    assert hidden.joint_error[wrist] > seen.joint_error[wrist]
    assert hidden.rotation_error[elbow] > seen.rotation_error[elbow]


def test_landmarks_are_seen_upright_whatever_the_camera_does() -> None:
    pose, _ = standing(0.5)
    angle = 0.7
    turn = Rotation.from_rotvec([0, 0, angle]).as_matrix().astype(np.float32)
    centre = np.array([CAMERA.cx, CAMERA.cy, 0.0], np.float32)
    x, y, _ = turn @ (np.array([pose.roi.x, pose.roi.y, 0.0]) - centre) + centre
    rolled = replace(
        pose,
        image=(pose.image - centre) @ turn.T + centre,
        world=pose.world @ turn.T,
        roi=Roi(float(x), float(y), pose.roi.size, angle),
    )
    seen, seen_rolled = prior_input(pose, CAMERA), prior_input(rolled, CAMERA)
    np.testing.assert_allclose(seen_rolled[:264], seen[:264], atol=1e-5)
    np.testing.assert_allclose(seen_rolled[-3:], seen[-3:], atol=1e-5)
    np.testing.assert_allclose(seen_rolled[264:266], [np.sin(angle), np.cos(angle)], atol=1e-6)
    np.testing.assert_allclose(
        upright_rotation(rolled.roi, CAMERA), turn @ upright_rotation(pose.roi, CAMERA), atol=1e-5
    )


def test_mirroring_twice_changes_nothing() -> None:
    seen = prior_input(standing(0.5)[0], CAMERA)[None]
    assert np.abs(mirrored_input(seen) - seen).max() > 0.1
    np.testing.assert_allclose(mirrored_input(mirrored_input(seen)), seen)
