# SPDX-License-Identifier: Apache-2.0
"""Bad starts and hidden limbs: what the fit makes of proposals and landmarks that say little."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pear_ros.core.camera import Camera
from pear_ros.fitting import body_fitter
from pear_ros.fitting.body_fitter import BodyFitter
from pear_ros.fitting.pose_prior import PosePrior, Proposal
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS, BodyState
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.topology import Pose
from pear_ros.landmarks.types import PoseLandmarks

CAMERA = Camera(640, 480, 550.0, 550.0, 320.0, 240.0)


def upright(fitter: BodyFitter) -> PoseLandmarks:
    """Landmarks of a person upright at 3 metres who faces the camera."""
    state = BodyState(fitter._rest, np.zeros(10, np.float32), np.float32([0.0, 0.2, 3.0]))
    points = fitter._skeleton.points(fitter._skeleton.pose(state), fitter._points)
    image = np.column_stack([CAMERA.project(points), np.zeros(33)]).astype(np.float32)
    seen = np.ones(33, np.float32)
    return PoseLandmarks(image, points, seen, seen, 1.0, Roi(320.0, 240.0, 420.0), swappable=False)


def head_down(self: PosePrior, *_: object, **__: object) -> Proposal:
    """A body on its head, of which the prior is sure."""
    rotations = np.tile(np.eye(3, dtype=np.float32), (NUM_BODY_JOINTS, 1, 1))
    rotations[0] = Rotation.from_euler("yz", [120.0, 20.0], degrees=True).as_matrix()
    sure = np.full(NUM_BODY_JOINTS, 0.1, np.float32)
    return Proposal(rotations, np.zeros(10, np.float32), sure, sure)


def test_a_bad_fit_of_a_new_person_is_tried_from_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    fitter = BodyFitter()
    pose = upright(fitter)
    assert fitter(pose, CAMERA, None, 0.0).mismatch < 0.01
    monkeypatch.setattr(PosePrior, "__call__", head_down)
    fit = fitter(pose, CAMERA, None, 0.0)
    assert fit.mismatch < 0.01
    assert fit.state.transl[2] == pytest.approx(3.0, rel=0.1)
    monkeypatch.setattr(body_fitter, "_BAD_MISMATCH", np.inf)
    assert fitter(pose, CAMERA, None, 0.0).mismatch > 0.02


def test_landmarks_of_hidden_limbs_count_a_little_and_those_outside_the_image_do_not() -> None:
    fitter = BodyFitter()
    pose = upright(fitter)
    fit = fitter(pose, CAMERA, None, 0.0)
    seen = fitter.observed(pose, fit).error
    wrist, ankle = Pose.LEFT_WRIST, Pose.LEFT_ANKLE
    visibility, presence = np.ones_like(pose.visibility), np.ones_like(pose.presence)
    visibility[wrist] = visibility[ankle] = presence[ankle] = 0.0
    hidden = replace(pose, visibility=visibility, presence=presence)
    error = fitter.observed(hidden, fit).error
    assert 3.0 * seen[wrist] < error[wrist] < np.inf
    assert error[ankle] == np.inf
