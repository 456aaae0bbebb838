# SPDX-License-Identifier: Apache-2.0
"""Bodies come to lie on their landmarks, heads and hands on their own; the trunk stays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from pear_ros.body import load_open_body
from pear_ros.body.kinematics import rotation_matrices
from pear_ros.body.model_files import load_surface_points
from pear_ros.core.camera import Camera
from pear_ros.core.people import NUM_JOINTS, SMPLX_JOINT_NAMES, Array
from pear_ros.fitting.part_alignment import PartAlignment
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS, AttachedPoints, BodyState
from pear_ros.fitting.solver import Observation
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.types import FaceLandmarks, HandLandmarks

BODY, SURFACE = load_open_body(), load_surface_points()
CAMERA = Camera(1280, 960, 1200.0, 1200.0, 640.0, 480.0)
ALIGN = PartAlignment(BODY, SURFACE)
INDEX = {name: number for number, name in enumerate(SMPLX_JOINT_NAMES)}
ERROR = 15.0
"""Standard deviation of the body's landmarks, pixels."""


@dataclass
class Seen:
    """A body in the image: its joints, face and left palm, pixels."""

    joints: Array
    face: Array
    palm: Array


def seen(state: BodyState) -> Seen:
    matrices = np.tile(np.eye(3, dtype=np.float32), (NUM_JOINTS, 1, 1))
    matrices[:NUM_BODY_JOINTS] = state.rotations
    expression = np.zeros((1, BODY.num_expression), np.float32)
    arguments = (matrices[None], state.betas[None], expression, state.transl[None])
    vertices = BODY.vertices(*arguments)[0]
    face = (vertices[SURFACE.face_corners] * SURFACE.face_barycentric[..., None]).sum(axis=1)
    joints = CAMERA.project(BODY.joints(*arguments)[0])
    palm = [INDEX[f"left_{n}"] for n in ("wrist", "index1", "middle1", "ring1", "pinky1")]
    return Seen(joints[:NUM_BODY_JOINTS], CAMERA.project(face), joints[palm])


def standing(distance: float = 3.0) -> BodyState:
    """A body that faces the camera."""
    pose = np.zeros((NUM_BODY_JOINTS, 3), np.float32)
    pose[0, 0] = np.pi
    pose[INDEX["left_shoulder"], 2] = -0.8
    betas = np.linspace(-1.0, 1.0, BODY.num_betas).astype(np.float32)
    return BodyState(rotation_matrices(pose), betas, np.array([0.0, 0.2, distance], np.float32))


def turned(state: BodyState, **turns: tuple[float, float, float]) -> BodyState:
    """The body with joints turned by rotation vectors, radians."""
    rotations = state.rotations.copy()
    for name, turn in turns.items():
        rotations[INDEX[name]] = rotations[INDEX[name]] @ rotation_matrices(np.float32(turn))
    return BodyState(rotations, state.betas, state.transl)


def face_at(points: Array) -> FaceLandmarks:
    image = np.concatenate([points, np.zeros((len(points), 1))], axis=1).astype(np.float32)
    return FaceLandmarks(image, 1.0, Roi(*points.mean(axis=0), 150.0))


def hand_at(points: Array) -> HandLandmarks:
    image = np.full((21, 3), np.nan, np.float32)
    image[[0, 5, 9, 13, 17], :2] = points
    return HandLandmarks(image, image, 1.0, Roi(*points.mean(axis=0), 120.0))


def body_at(joints: Array) -> Observation:
    """The joints as landmarks of the body; those behind the camera are not observed."""
    known = np.isfinite(joints).all(axis=1)
    points = AttachedPoints(np.arange(NUM_BODY_JOINTS), np.zeros((NUM_BODY_JOINTS, 3), np.float32))
    error = np.where(known, ERROR, np.inf).astype(np.float32)
    return Observation(points, np.nan_to_num(joints), error)


def distance(a: Array, b: Array) -> float:
    return float(np.linalg.norm(a - b, axis=1).mean())


def test_head_and_hand_come_to_lie_on_their_landmarks() -> None:
    truth = standing()
    wanted = seen(truth)
    start = turned(
        truth, neck=(0.15, 0.0, 0.25), left_shoulder=(0.0, 0.05, 0.08), left_elbow=(0.0, 0.1, 0.1)
    )
    before = seen(start)
    assert distance(before.face, wanted.face) > 8.0
    assert distance(before.palm, wanted.palm) > 15.0
    hands = {"left": hand_at(wanted.palm)}
    after = seen(ALIGN(start, body_at(before.joints), face_at(wanted.face), hands, CAMERA))
    assert distance(after.face, wanted.face) < 1.5
    assert distance(after.palm, wanted.palm) < 1.5
    others = [INDEX[name] for name in ("pelvis", "left_knee", "right_ankle", "right_wrist")]
    assert distance(after.joints[others], before.joints[others]) < 2.0


def test_limbs_come_to_lie_on_the_landmarks_of_the_body_and_the_trunk_stays() -> None:
    wanted = seen(standing())
    start = turned(standing(), right_knee=(0.0, 0.0, 0.08), left_elbow=(0.0, 0.1, 0.0))
    limbs = [INDEX[name] for name in ("right_ankle", "left_wrist")]
    before = seen(start)
    assert distance(before.joints[limbs], wanted.joints[limbs]) > 6.0
    aligned = ALIGN(start, body_at(wanted.joints), None, {}, CAMERA)
    after = seen(aligned)
    assert distance(after.joints[limbs], wanted.joints[limbs]) < 1.0
    trace = float((aligned.rotations[0] * start.rotations[0]).sum())
    assert trace > 1.0 + 2.0 * np.cos(np.radians(0.5))
    assert abs(aligned.transl[2] - start.transl[2]) < 0.02


def test_each_part_moves_alone() -> None:
    start = turned(standing(), neck=(0.15, 0.0, 0.25), left_elbow=(0.0, 0.1, 0.1))
    wanted, before = seen(standing()), seen(start)
    face = seen(ALIGN(start, body_at(before.joints), face_at(wanted.face), {}, CAMERA))
    assert distance(face.palm, before.palm) < 2.0
    assert distance(face.face, wanted.face) < 1.5
    palm = seen(ALIGN(start, body_at(before.joints), None, {"left": hand_at(wanted.palm)}, CAMERA))
    assert distance(palm.face, before.face) < 2.0
    assert distance(palm.palm, wanted.palm) < 1.5


def test_landmarks_far_from_the_body_do_not_move_it() -> None:
    start = standing()
    before = seen(start)
    elsewhere = {"left": hand_at(before.palm + np.float32([-250.0, -200.0]))}
    after = seen(
        ALIGN(start, body_at(before.joints), face_at(before.face + 200.0), elsewhere, CAMERA)
    )
    assert distance(after.joints, before.joints) < 3.0


@pytest.mark.parametrize("part", ["face", "hand"])
def test_close_up_is_aligned_though_feet_are_behind_the_camera(part: str) -> None:
    lying = turned(standing(0.75), pelvis=(-1.2, 0.0, 0.0))
    before = seen(lying)
    assert np.isnan(before.joints).any() and np.isfinite(before.face).all()
    face = face_at(before.face + 3.0) if part == "face" else None
    hands = {} if part == "face" else {"left": hand_at(np.nan_to_num(before.palm) + 3.0)}
    aligned = ALIGN(lying, body_at(before.joints), face, hands, CAMERA)
    assert all(np.isfinite(v).all() for v in (aligned.rotations, aligned.betas, aligned.transl))
