# SPDX-License-Identifier: Apache-2.0
"""Joint frames: axes of REP-103, root of REP-155, and a tree that ends at the joints."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pear_ros.body.joint_frames import JointFrames, arrays, placed, root_frames
from pear_ros.core.people import Person, TrackingState
from pear_ros.training.poses import KINDS, sample_rotations
from testing.open_people import JOINT, open_body, person, pose_of, t_pose

X_TO_CAMERA, Y_TO_PICTURES_RIGHT, Z_UP = (0, 0, -1), (1, 0, 0), (0, -1, 0)


def random_person(seed: int, kind: str) -> Person:
    rng = np.random.default_rng(seed)
    pose = pose_of(sample_rotations(rng, kind))
    pose[0] = Rotation.random(random_state=seed).as_rotvec()
    return person(pose, tuple(rng.uniform((-1, -1, 2), (1, 1, 5))))


people = st.builds(random_person, st.integers(0, 2**31), st.sampled_from(list(KINDS)))


def composed(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orientations (55, 3, 3) and places (55, 3) in the camera's frame, as tf2 would have them."""
    turns, places = np.empty((55, 3, 3)), np.empty((55, 3))
    for joint, parent in enumerate(open_body().parents):
        turn, place = Rotation.from_quat(frames[joint, 3:]).as_matrix(), frames[joint, :3]
        above, origin = (np.eye(3), np.zeros(3)) if parent < 0 else (turns[parent], places[parent])
        turns[joint], places[joint] = above @ turn, above @ place + origin
    return turns, places


def frames_of(*persons: Person) -> np.ndarray:
    return JointFrames(open_body().parents)(*arrays(persons))


def test_root_axes_of_a_person_facing_the_camera() -> None:
    (frame,) = root_frames(*arrays([person(t_pose())]))[0]
    axes = Rotation.from_quat(frame[3:]).as_matrix()
    expected = np.transpose([X_TO_CAMERA, Y_TO_PICTURES_RIGHT, Z_UP])
    np.testing.assert_allclose(axes, expected, atol=1e-6)


def test_root_is_midway_between_the_hips() -> None:
    one = person(t_pose(left_hip=(-1.0, 0.0, 0.0)))
    (frame,) = root_frames(*arrays([one]))[0]
    hips = one.joints[[JOINT["left_hip"], JOINT["right_hip"]]]
    np.testing.assert_allclose(frame[:3], hips.mean(axis=0), atol=1e-6)


def test_frames_are_parallel_at_rest() -> None:
    turns, _ = composed(frames_of(person(t_pose()))[0])
    np.testing.assert_allclose(turns, np.tile(turns[0], (55, 1, 1)), atol=1e-9)


def test_rotations_are_about_the_joints_own_axes() -> None:
    """An elbow that bends forward turns about the vertical: down on the left (right hand rule)."""
    frames = frames_of(person(t_pose(left_elbow=(0.0, -0.5, 0.0))))[0]
    turn = Rotation.from_quat(frames[JOINT["left_elbow"], 3:]).as_rotvec()
    np.testing.assert_allclose(turn, (0.0, 0.0, -0.5), atol=1e-6)


@settings(max_examples=30)
@given(one=people)
def test_frames_end_at_the_joints(one: Person) -> None:
    turns, places = composed(frames_of(one)[0])
    np.testing.assert_allclose(places[1:], one.joints[1:], atol=1e-5)

    axes = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])  # REP-103's in SMPL-X's, as columns
    expected = np.empty((55, 3, 3))
    for joint, parent in enumerate(open_body().parents):
        turn = Rotation.from_rotvec(one.smplx.pose[joint]).as_matrix()
        expected[joint] = turn if parent < 0 else expected[parent] @ turn
    np.testing.assert_allclose(turns, expected @ axes, atol=1e-5)


@settings(max_examples=10)
@given(some=st.lists(people, max_size=4))
def test_frames_of_several_people_equal_single_ones(some: list[Person]) -> None:
    together = frames_of(*some)
    assert together.shape == (len(some), 55, 7)
    for one, frames in zip(some, together, strict=True):
        np.testing.assert_array_equal(frames, frames_of(one)[0])
    np.testing.assert_array_equal(root_frames(*arrays(some)), together[:, :1])


@pytest.mark.parametrize("state", TrackingState)
def test_placed_leaves_out_lost_people(state: TrackingState) -> None:
    one = person(t_pose(), state=state)
    assert placed([one]) == ([] if state is TrackingState.LOST else [one])


def test_placed_leaves_out_people_who_are_not_finite() -> None:
    one = person(t_pose())
    joints = one.joints.copy()
    joints[40, 1] = np.nan
    assert placed([dataclasses.replace(one, joints=joints)]) == []
    pose = one.smplx.pose.copy()
    pose[3, 2] = np.nan
    smplx = dataclasses.replace(one.smplx, pose=pose)
    assert placed([dataclasses.replace(one, smplx=smplx)]) == []
