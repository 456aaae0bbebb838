# SPDX-License-Identifier: Apache-2.0
"""Frames of a stream: no step is too great, whatever is seen; hold, rest and blend take time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pear_ros.core import quaternions
from pear_ros.core.people import TrackingState
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.streaming.body_pose import (
    LEVEL_CAMERA,
    ObservedPerson,
    motion_of,
    orientations_and_places,
)
from pear_ros.streaming.limits import BONE_SPEED
from pear_ros.streaming.motion_stream import MotionFrame, MotionStream, StreamState
from pear_ros.streaming.options import StreamOptions
from pear_ros.streaming.playout_clock import PlayoutClock
from pear_ros.streaming.rest_pose import at_rest
from testing.open_people import JOINT, t_pose
from testing.streamed_people import observed, steps

OPTIONS = StreamOptions()
SECONDS = 1.0 / OPTIONS.rate
LEFT_ELBOW = JOINT["left_elbow"]
BENT = t_pose(left_elbow=(0.0, -1.5, 0.0))


def run(
    stream: MotionStream, images: list[tuple[float, list[ObservedPerson]]], until: float
) -> list[MotionFrame]:
    """Return the frames of a stream up to a time; images arrive at their stamps."""
    waiting, frames = list(images), []
    for tick in range(round(until / SECONDS)):
        now = tick * SECONDS
        while waiting and waiting[0][0] <= now:
            stream.add(*waiting.pop(0), LEVEL_CAMERA)
        frame = stream.step(now - OPTIONS.delay)
        if frame is not None:
            frames.append(frame)
    return frames


def stood(seconds: float, *persons: ObservedPerson, begin: float = 0.0) -> list[tuple]:
    """Return images at 15 Hz of people who do not move."""
    return [(begin + n / 15, list(persons)) for n in range(round(seconds * 15))]


def angle(frame: MotionFrame, joint: int) -> float:
    return float(np.linalg.norm(quaternions.to_vectors(frame.motion.rotations[joint])))


def at(frames: list[MotionFrame], second: float) -> MotionFrame:
    return min(frames, key=lambda one: abs(one.stamp - second))


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e36])
def test_a_body_that_cannot_be_is_not_measured(number: float) -> None:
    person = observed()
    assert person.is_measured
    joints = person.joints.copy()
    joints[20, 1] = number
    assert not person._replace(joints=joints).is_measured


def test_nothing_is_sent_before_somebody_is_seen() -> None:
    stream = MotionStream(OPTIONS)
    assert run(stream, [(0.0, []), (0.1, [])], 1.0) == []


def test_the_first_frame_is_the_rest_pose_at_the_persons_place() -> None:
    (first, *_, last) = run(MotionStream(OPTIONS), stood(3.0, observed(BENT)), 3.0)
    assert first.index == 0 and last.index > 100
    np.testing.assert_allclose(first.motion.root[:2], last.motion.root[:2], atol=1e-3)
    assert angle(first, LEFT_ELBOW) < 0.01
    assert angle(last, LEFT_ELBOW) == pytest.approx(1.5, abs=1e-4)


def test_blend_to_a_person_takes_its_time() -> None:
    frames = run(MotionStream(OPTIONS), stood(3.0, observed(BENT)), 3.0)
    angles = [angle(one, LEFT_ELBOW) for one in frames]
    duration = next(n for n, one in enumerate(angles) if one > 1.4999) * SECONDS
    assert duration == pytest.approx(OPTIONS.blend_seconds, abs=2 * SECONDS)
    assert all(b >= a - 1e-9 for a, b in pairwise(angles))


def test_a_lost_person_is_held_then_the_stream_rests_then_finds_again() -> None:
    images = stood(2.0, observed(BENT)) + stood(3.0, begin=2.0)
    images += stood(3.0, observed(BENT, track_id="h2"), begin=5.0)
    frames = run(MotionStream(OPTIONS), images, 8.0)
    last_seen = 29 / 15
    assert at(frames, last_seen - 0.1).state is StreamState.TRACKING
    held = at(frames, last_seen + OPTIONS.hold_seconds - 0.05)
    assert held.state is StreamState.HOLDING and angle(held, LEFT_ELBOW) > 1.499
    moving = at(frames, last_seen + OPTIONS.hold_seconds + OPTIONS.blend_seconds / 2)
    assert moving.state is StreamState.RESTING and 0.3 < angle(moving, LEFT_ELBOW) < 1.2
    resting = at(frames, 4.8)
    assert angle(resting, LEFT_ELBOW) < 1e-3 and resting.person_id == "h1"
    assert 0.1 < angle(at(frames, 5.5), LEFT_ELBOW) < 1.4
    assert angle(frames[-1], LEFT_ELBOW) > 1.499 and frames[-1].person_id == "h2"
    assert frames[-1].state is StreamState.TRACKING


def test_motion_between_images_is_interpolated() -> None:
    images = []
    for n in range(60):
        bend = 0.02 * n
        images.append((n / 15, [observed(t_pose(left_elbow=(0.0, -bend, 0.0)))]))
    frames = [one for one in run(MotionStream(OPTIONS), images, 4.0) if one.stamp > 1.5]
    angles = np.array([angle(one, LEFT_ELBOW) for one in frames])
    np.testing.assert_allclose(angles, [0.3 * one.stamp for one in frames], atol=1e-4)


def test_without_look_ahead_the_newest_motion_is_held_until_the_next() -> None:
    stream = MotionStream(replace(OPTIONS, blend_seconds=0.0))
    stream.add(1.0, [observed(BENT)], LEVEL_CAMERA)
    states = [stream.step(1.01 + n * SECONDS).state for n in range(30)]
    held = round(OPTIONS.hold_seconds / SECONDS)
    assert states[: held + 1] == [StreamState.TRACKING] + held * [StreamState.HOLDING]
    assert set(states[held + 1 :]) == {StreamState.RESTING}


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["seen", "nobody", "lost", "predicted", "nan", "pause", "back", "ahead"]),
        st.integers(0, 2**32 - 1),
        st.sampled_from(["h1", "h1", "h1", "h2"]),
    ),
    min_size=5,
    max_size=25,
)


@settings(max_examples=25)
@given(events=EVENTS)
def test_no_step_is_greater_than_the_limits_whatever_is_seen(events: list) -> None:
    stream, clock = MotionStream(OPTIONS), PlayoutClock(OPTIONS.delay)
    frames, stamp, now = [], 100.0, 0.0
    for kind, seed, track_id in events:
        stamp += 1 / 15
        stamp += {"back": -30.0, "ahead": 1000.0}.get(kind, 0.0)
        pause = 1.3 if kind == "pause" else 0.0
        stamp += pause
        persons = [] if kind in ("nobody", "pause") else [someone(kind, seed, track_id)]
        if kind != "pause":
            clock.arrived(stamp, now)
            stream.add(stamp, persons, camera(seed) if seed % 3 else None)
        for _ in range(4 + round(pause / SECONDS)):
            now += SECONDS
            time = clock.time(now)
            frame = None if time is None else stream.step(time)
            frames += [] if frame is None else [frame]
    if len(frames) > 1:
        found = steps(frames)
        assert found.joint <= OPTIONS.max_joint_rate * SECONDS * (1 + 1e-6)
        assert found.root <= OPTIONS.max_root_speed * SECONDS * (1 + 1e-6)
        assert found.turn <= OPTIONS.max_turn_rate * SECONDS * (1 + 1e-6)
        assert found.bone <= BONE_SPEED * SECONDS * (1 + 1e-6)
    for frame in frames:
        assert np.isfinite(frame.motion.rotations).all() and np.isfinite(frame.motion.root).all()
    assert [one.index for one in frames] == list(range(len(frames)))


def someone(kind: str, seed: int, track_id: str) -> ObservedPerson:
    """Return a person in a random pose at a random place."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(0.0, 1.5, (55, 3)).astype(np.float32)
    one = observed(pose, tuple(rng.normal((0.0, 0.0, 4.0), 1.0).tolist()), track_id)
    states = {"lost": TrackingState.LOST, "predicted": TrackingState.PREDICTED}
    if kind == "nan":
        part = rng.choice(["pose", "joints"])
        one = one._replace(**{part: np.full((55, 3), np.nan, np.float32)})
    if rng.random() < 0.3:  # another body
        one = one._replace(joints=one.joints * np.float32(1.2))
    return one._replace(state=states.get(kind, one.state))


def camera(seed: int) -> RigidTransform:
    turn = Rotation.random(random_state=seed % 1000).as_matrix()
    return RigidTransform(turn, np.array([0.0, 0.0, 1.5]))


def test_limits_are_reached_so_that_the_test_above_can_fail() -> None:
    quick = replace(OPTIONS, blend_seconds=0.0)
    images = stood(1.0, observed()) + stood(1.0, observed(BENT, (2.0, 0.0, 3.0)), begin=1.0)
    found = steps(run(MotionStream(quick), images, 2.5))
    assert found.root == pytest.approx(OPTIONS.max_root_speed * SECONDS)
    assert found.joint == pytest.approx(OPTIONS.max_joint_rate * SECONDS)


def test_hands_that_are_not_seen_rest() -> None:
    curled = t_pose(**{f"left_index{n}": (0.0, 0.0, -1.0) for n in (1, 2, 3)})
    curled[JOINT["left_wrist"]] = (0.5, 0.0, 0.0)
    seen, hidden = (motion_of(observed(curled, confidence=c), LEVEL_CAMERA) for c in (0.9, 0.0))
    assert seen.hands_seen == (True, True) and hidden.hands_seen == (False, False)
    for joint in ("left_index2", "left_wrist"):
        assert abs(seen.rotations[JOINT[joint], 3]) < 0.99
        assert hidden.rotations[JOINT[joint], 3] == 1.0
    unrated = motion_of(observed(curled, confidence=np.nan), LEVEL_CAMERA)
    assert unrated.hands_seen == (True, True)


def test_places_are_those_of_the_person_in_the_world() -> None:
    one = observed(BENT)
    to_world = camera(3)
    motion = motion_of(one, to_world)
    orientations, places = orientations_and_places(motion)
    np.testing.assert_allclose(places, to_world.apply(one.joints.astype(float)), atol=1e-5)
    root = to_world.rotation @ Rotation.from_rotvec(one.pose[0]).as_matrix()
    np.testing.assert_allclose(orientations[0], root, atol=1e-6)
    elbow = root @ Rotation.from_rotvec(BENT[LEFT_ELBOW]).as_matrix()
    np.testing.assert_allclose(orientations[JOINT["left_wrist"]], elbow, atol=1e-6)


def test_without_a_transform_the_person_stands_on_the_floor_upright() -> None:
    motion = motion_of(observed(), None)
    _, places = orientations_and_places(motion)
    assert places[JOINT["left_foot"], 2] == pytest.approx(0.02, abs=0.05)
    assert 1.3 < places[JOINT["head"], 2] < 1.9
    # Facing the camera, which looks along x, the left hand is towards -y.
    assert places[JOINT["left_wrist"], 1] < -0.4 < 0.4 < places[JOINT["right_wrist"], 1]


@pytest.mark.parametrize("yaw", [0.0, 1.0, -2.5])
def test_rest_keeps_heading_and_floor(yaw: float) -> None:
    lying = motion_of(observed(), LEVEL_CAMERA)
    turn = quaternions.from_vectors(np.array([0.0, 0.0, yaw]))
    tilt = quaternions.from_vectors(np.array([0.3, -0.4, 0.0]))
    root = quaternions.product(turn, quaternions.product(tilt, np.array([0.5, 0.5, 0.5, 0.5])))
    rotations = lying.rotations.copy()
    rotations[0] = root
    rest = at_rest(replace(lying, rotations=rotations))
    orientations, places = orientations_and_places(rest)
    np.testing.assert_allclose(orientations[0] @ (0, 1, 0), (0, 0, 1), atol=1e-9)
    forward = orientations[0] @ (0, 0, 1)
    assert np.arctan2(forward[1], forward[0]) == pytest.approx(yaw, abs=0.07)
    assert places[JOINT["left_wrist"], 2] < places[JOINT["left_shoulder"], 2] - 0.3


def test_without_holding_a_person_who_is_seen_is_tracked() -> None:
    stream = MotionStream(replace(OPTIONS, hold_seconds=0.0))
    images = [(n / 30, [observed(BENT)]) for n in range(31)]
    frames = run(stream, images, until=1.5)
    assert {one.state for one in frames if one.stamp < 0.99} == {StreamState.TRACKING}
    assert frames[-1].state is StreamState.RESTING
