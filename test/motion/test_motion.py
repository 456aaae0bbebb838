# SPDX-License-Identifier: Apache-2.0
"""Motion of recorded people: constant rate, gaps, swaps, floor, feet, hands, and bad input."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from pear_ros.core import quaternions
from pear_ros.core.people import SMPLX_PARENTS, Person, TrackingState
from pear_ros.export.motions import Motions, motions_of_recording, observations_of
from pear_ros.export.tracks import ResultsError
from pear_ros.motion import rts
from pear_ros.motion.contact import contact_probability
from pear_ros.motion.heading import facing_ahead
from pear_ros.motion.segments import rate_of, timeline
from pear_ros.motion.skeleton import soles_of
from pear_ros.motion.swaps import swapped
from pear_ros.motion.world import fit_world
from testing.motion_tracks import BODY, GROUND, walking_recording

TIMES = np.arange(0.0, 3.0, 1 / 30).tolist()


@cache
def walk() -> Motions:
    """Return the motion of one person who walks for three seconds."""
    return motions()


def motions(times: list[float] = TIMES, **options: Any) -> Motions:
    export = {key: options.pop(key) for key in ("rate", "max_gap") if key in options}
    return motions_of_recording(walking_recording(times, **options), None, **export)


def test_skeleton_is_that_of_the_open_body() -> None:
    np.testing.assert_array_equal(SMPLX_PARENTS, BODY.parents)
    recording = walking_recording(TIMES[:5])
    track = recording.tracks[0]
    skeleton = observations_of(track, np.array(TIMES[:5])).skeleton
    rest = BODY.rest_joints(track.betas[:1], track.expression[:1])[0]
    expected = track.scale[0] * (rest - rest[0])
    np.testing.assert_allclose(skeleton.rest, expected, atol=1e-4)
    np.testing.assert_allclose(skeleton.origin, rest[0], atol=1e-4)


def test_joints_of_the_skeleton_are_those_recorded() -> None:
    track = walking_recording(TIMES[:5]).tracks[0]
    one = observations_of(track, np.array(TIMES[:5]))
    joints = one.skeleton.joints(one.rotations, one.pelvis)
    np.testing.assert_allclose(joints, track.arrays["joints"], atol=1e-4)


def test_world_finds_up_and_floor_of_walking_people() -> None:
    recording = walking_recording(TIMES, people=("h1", "h2"))
    people = [observations_of(track, np.array(TIMES)) for track in recording.tracks]
    world = fit_world(people)
    up = world.rotation[0, 2]
    assert np.degrees(np.arccos(up @ GROUND.normal)) < 5.0
    assert world.translation[0, 2] == pytest.approx(GROUND.height, abs=0.35)
    np.testing.assert_allclose(world.rotation[0] @ world.rotation[0].T, np.eye(3), atol=1e-9)
    assert np.linalg.det(world.rotation[0]) == pytest.approx(1.0)


def test_people_stand_upright_on_the_floor_at_a_constant_rate() -> None:
    found = motions(people=("h1", "h2"))
    assert found.rate == 30 and len(found.people) == 2
    for one in found.people:
        motion = one.motion
        joints = motion.joints()
        assert len(joints) == len(TIMES)
        height = joints[:, 15, 2] - joints[:, [10, 11], 2].min(axis=1)
        assert (height > 1.2).all()
        soles = soles_of(motion.rotations, joints)[..., 2]
        assert -0.03 < np.quantile(soles.min(axis=1), 0.1) < 0.03
        assert (motion.pelvis_std < 0.1).all() and motion.seen.all()


def test_feet_in_contact_neither_slide_nor_leave_the_floor() -> None:
    motion = walk().people[0].motion
    soles = soles_of(motion.rotations, motion.joints())
    held = (motion.contact[1:] > 0.5) & (motion.contact[:-1] > 0.5)
    assert held.mean() > 0.3
    speed = np.linalg.norm(np.diff(soles[..., :2], axis=0), axis=-1)[held] * motion.rate
    assert np.median(speed) < 0.05 and speed.mean() < 0.12
    assert np.abs(soles[..., 2][motion.contact > 0.5]).mean() < 0.02


def test_smoothing_does_not_freeze_what_moves() -> None:
    recording = walking_recording(TIMES)
    motion = motions_of_recording(recording, None).people[0].motion
    turns = quaternions.to_vectors(motion.rotations)[:, [4, 16]]
    given = recording.tracks[0].pose[:, [4, 16]]
    assert np.abs(turns - given)[3:-3].mean() < np.radians(4.0)
    assert np.ptp(turns[:, 0, 0]) > 0.7 * np.ptp(given[:, 0, 0])


@pytest.mark.parametrize(("rate", "expected"), [(10.0, 30), (29.97, 30), (50.0, 60), (60.0, 60)])
def test_rate_is_whole_and_the_recordings_own(rate: float, expected: int) -> None:
    assert rate_of(np.arange(20) / rate) == expected


def test_rate_of_one_image_is_the_lower_one() -> None:
    assert rate_of(np.zeros(1)) == 30


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.001, 0.4), min_size=2, max_size=30), st.sampled_from([30, 50, 60]))
def test_timeline_contains_all_images_and_all_frames(steps: list[float], rate: int) -> None:
    seconds = np.cumsum(steps)
    times, images, (first, end) = timeline(seconds, rate)
    np.testing.assert_array_equal(times[images], seconds)
    assert (np.diff(times) > 0.0).all()
    for frame in range(first, end):
        assert np.abs(times - frame / rate).min() < 2e-6
    assert seconds[0] - 1e-5 <= first / rate and (end - 1) / rate <= seconds[-1] + 1e-5
    assert len(times) <= len(seconds) + end - first


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_motion_is_finite_and_complete_for_stamps_with_gaps_and_jitter(data: st.DataObject) -> None:
    count = data.draw(st.integers(3, 30))
    steps = data.draw(st.lists(st.floats(0.005, 0.3), min_size=count, max_size=count))
    times = np.cumsum(steps)
    if times[-1] - times[0] < 0.11:
        with pytest.raises(ResultsError, match=r"over 0\.1 s"):
            motions(times[:2].tolist())
        return
    (one,) = motions(times.tolist(), max_gap=0.31).people
    assert np.isfinite(one.motion.joints()).all()
    assert np.isfinite(one.motion.rotation_std).all() and np.isfinite(one.motion.pelvis_std).all()
    np.testing.assert_allclose(np.linalg.norm(one.motion.rotations, axis=-1), 1.0, atol=1e-6)
    assert len(one.motion.seen) == len(one.motion.pelvis) == len(one.motion.contact)


def absent(begin: int, end: int) -> Any:
    return lambda image, person: None if begin <= image < end else person


def test_short_gaps_are_filled_and_say_how_uncertain_they_are() -> None:
    found = motions(change=absent(40, 50))
    (one,) = found.people
    motion = one.motion
    assert len(motion.pelvis) == len(TIMES)
    assert not motion.seen[42:48].any() and motion.seen[:38].all() and motion.seen[52:].all()
    assert (motion.rotation_std[45] > 1.5 * motion.rotation_std[30]).all()
    assert any("filled in" in note and "degrees" in note for note in found.notes)
    whole = walk().people[0].motion
    apart = np.linalg.norm(motion.joints() - whole.joints(), axis=-1)
    assert apart[40:50].mean() < 0.15


def test_long_gaps_split_the_track() -> None:
    found = motions(change=absent(30, 60))
    assert [one.motion.id for one in found.people] == ["h1", "h1_part2"]
    assert [one.motion.first for one in found.people] == [0, 60]
    assert any("2 parts" in note for note in found.notes)


def test_predicted_and_unread_people_are_gaps() -> None:
    def change(image: int, person: Person) -> Person:
        states = {41: TrackingState.PREDICTED, 42: TrackingState.DETECTED}
        wrong = replace(person.smplx, pose=person.smplx.pose + 1.0)
        if image in states:
            return replace(person, state=states[image], smplx=wrong)
        return person

    motion = motions(change=change).people[0].motion
    whole = walk().people[0].motion
    assert np.linalg.norm(motion.joints() - whole.joints(), axis=-1)[38:46].max() < 0.1


def exchanged(person: Person) -> Person:
    """The person with the joints of arms and legs, and so their rotations, exchanged."""
    pose, order = person.smplx.pose.copy(), np.arange(55)
    for left, right in ((1, 2), (4, 5), (7, 8), (16, 17), (18, 19)):
        order[[left, right]] = right, left
    mirrored = pose[order] * (1.0, -1.0, -1.0)
    mirrored[0] = (Rotation.from_rotvec(pose[0]) * Rotation.from_euler("y", np.pi)).as_rotvec()
    smplx = replace(person.smplx, pose=mirrored.astype(np.float32))
    zero = np.zeros((1, 3), np.float32)
    joints = BODY.joints(smplx.pose[None], smplx.betas[None], smplx.expression[None], zero)[0]
    return replace(person, smplx=smplx, joints=np.float32(person.scale) * joints + smplx.transl)


def test_exchanged_limbs_are_mended() -> None:
    found = motions(change=lambda n, p: exchanged(p) if n in (40, 41, 42) else p)
    assert any("exchanged in 3 images" in note for note in found.notes), found.notes
    whole = walk().people[0].motion
    apart = np.linalg.norm(found.people[0].motion.joints() - whole.joints(), axis=-1)
    assert apart[38:46].max() < 0.15


def test_walking_people_have_no_exchanged_limbs() -> None:
    recording = walking_recording(TIMES, people=("h1", "h2", "h3"))
    for track in recording.tracks:
        assert not swapped(np.array(TIMES), track.arrays["joints"].astype(np.float64)).any()


def test_hands_that_were_not_seen_rest_and_say_so() -> None:
    def change(image: int, person: Person) -> Person:
        confidence = person.joint_confidence.copy()
        confidence[25:40] = 0.0
        if image < 45:
            confidence[40:] = 0.05
        return replace(person, joint_confidence=confidence)

    found = motions(change=change)
    motion = found.people[0].motion
    assert not motion.hands_seen[:, 0].any()
    assert not motion.hands_seen[:44, 1].any() and motion.hands_seen[46:, 1].all()
    np.testing.assert_allclose(motion.pose[:, 25:40], 0.0, atol=1e-6)
    np.testing.assert_allclose(motion.pose[:35, 40:], 0.0, atol=0.01)
    np.testing.assert_allclose(motion.pose[60:, 40:, 2], 0.1, atol=0.01)
    notes = [note for note in found.notes if "hand was seen in" in note]
    assert len(notes) == 2 and "left hand was seen in 0 %" in notes[0]


def test_hands_of_unknown_confidence_count_as_seen() -> None:
    unknown = np.full(55, np.nan, np.float32)
    motion = motions(change=lambda n, p: replace(p, joint_confidence=unknown)).people[0].motion
    assert motion.hands_seen.all()


def test_heading_begins_at_the_origin_and_ahead() -> None:
    motion = walk().people[0].motion
    turned = facing_ahead(motion)
    chest = quaternions.to_matrices(turned.rotations[:15, 0])[..., 2].mean(axis=0)
    assert chest[0] > 0.9 and abs(chest[1]) < 0.02
    np.testing.assert_allclose(turned.pelvis[0, :2], 0.0, atol=1e-9)
    np.testing.assert_allclose(turned.pelvis[:, 2], motion.pelvis[:, 2])
    lengths = [np.linalg.norm(np.diff(one.pelvis, axis=0), axis=1) for one in (motion, turned)]
    np.testing.assert_allclose(*lengths, atol=1e-9)


def test_rts_smoother_is_the_least_squares_solution() -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.02, 0.05, 20))
    values = rng.normal(0.0, 0.1, (20, 1, 1))
    measured = np.ones((20, 1), np.bool_)
    measured[7:10] = False
    R, S = 0.01, 3.0
    found = rts._pass(rts.VECTORS, times, values, np.where(measured, R, rts._MAX_FINITE), S).values[
        :, 0, 0
    ]
    # States (x, w) of all times as one linear system of normal equations.
    A, b = np.zeros((40, 40)), np.zeros(40)
    for n in range(20):
        if measured[n]:
            A[2 * n, 2 * n] += 1 / R
            b[2 * n] += values[n, 0, 0] / R
    A[1, 1] += 1 / rts._FIRST_VELOCITY_STD**2
    for n in range(19):
        F, Q = rts._model(times[n + 1] - times[n], S)
        step = np.hstack([-F, np.eye(2)])
        A[2 * n : 2 * n + 4, 2 * n : 2 * n + 4] += step.T @ np.linalg.inv(Q) @ step
    # The filter's first state is its first measurement.
    np.testing.assert_allclose(found, np.linalg.solve(A, b)[::2], atol=2e-4)


def test_rts_smoother_rejects_an_outlier_and_keeps_a_turn() -> None:
    times = np.arange(60) / 30
    angles = np.sin(2.0 * times)
    vectors = np.zeros((60, 1, 3))
    vectors[:, 0, 1] = angles + np.random.default_rng(1).normal(0.0, 0.02, 60)
    vectors[30, 0, 1] += 1.2
    turns = quaternions.from_vectors(vectors)
    smooth = rts.smooth(rts.ROTATIONS, times, turns, np.ones((60, 1), np.bool_), 60.0, (0.02, 0.3))
    error = quaternions.to_vectors(smooth.values)[:, 0, 1] - angles
    assert np.abs(error).max() < 0.08


def test_contact_has_no_delay() -> None:
    soles = np.zeros((60, 4, 3))
    moving = np.arange(60) >= 30
    soles[:, :, 0] = 4.0
    soles[:, :, 1] = np.where(moving, (np.arange(60) - 30) / 15, 0.0)[:, None]
    soles[:, :, 2] = np.where(moving, 0.1, 0.0)[:, None]
    contact = contact_probability(soles, np.ones((60, 4)), np.array([0.0, 0.0, 1.0]), 30)
    assert (contact[2:28] > 0.5).all() and (contact[33:58] < 0.5).all()


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_images_are_refused_in_one_sentence(count: int) -> None:
    with pytest.raises(ResultsError, match=r"no motion to export: .*h1 was seen in") as error:
        motions(TIMES[:count])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("factor", [0.0, 1e30])
def test_bodies_that_cannot_be_are_gaps(factor: float) -> None:
    def change(image: int, person: Person) -> Person:
        return replace(person, joints=np.float32(factor) * person.joints) if image == 9 else person

    motion = motions(TIMES[:20], change=change).people[0].motion
    assert not motion.seen[9] and motion.seen[[8, 10]].all()
    assert np.isfinite(motion.joints()).all()


def test_a_recording_without_people_is_refused() -> None:
    with pytest.raises(ResultsError, match="no people"):
        motions(change=lambda image, person: None)


def test_a_track_of_a_second_is_motion() -> None:
    assert len(motions(TIMES[:30]).people[0].motion.pelvis) == 30


def test_people_seen_too_shortly_are_left_out_and_said() -> None:
    found = motions(people=("h1", "h2"), change=lambda n, p: p if p.id == "h1" or n == 4 else None)
    assert [one.motion.id for one in found.people] == ["h1"]
    assert any(note.startswith("h2 was seen in 1 image in total") for note in found.notes)


def test_parts_never_take_the_name_of_another_person() -> None:
    with pytest.raises(ResultsError, match="h1_part2"):
        motions(people=("h1", "h1_part2"), change=absent_only("h1", 30, 60))


def absent_only(name: str, begin: int, end: int) -> Any:
    return lambda n, person: None if person.id == name and begin <= n < end else person


def test_people_without_feet_get_a_floor_below_them() -> None:
    def change(image: int, person: Person) -> Person:
        confidence = person.joint_confidence.copy()
        confidence[[4, 5, 7, 8, 10, 11]] = 0.0
        return replace(person, joint_confidence=confidence)

    found = motions(change=change)
    assert any("no feet were seen" in note for note in found.notes)
    assert np.isfinite(found.people[0].motion.joints()).all()


def test_a_moving_camera_without_its_pose_is_doubted() -> None:
    def change(image: int, person: Person) -> Person:
        moved = np.array([0.0, 2.0 * np.sin(image / 10), 0.0], np.float32)
        smplx = replace(person.smplx, transl=person.smplx.transl + moved)
        return replace(person, joints=person.joints + moved, smplx=smplx)

    found = motions(change=change)
    assert any("--frame" in note for note in found.notes)
