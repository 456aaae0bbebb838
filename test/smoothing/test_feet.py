# SPDX-License-Identifier: Apache-2.0
"""Feet: contact of heels and toes, and feet in contact that stay where they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pear_ros.core.ground import GroundPlane
from pear_ros.core.people import Person, TrackingState
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.smoothing import foot_anchors, foot_contact
from pear_ros.smoothing.feet import MAX_IMAGE_SHARE, Feet
from pear_ros.smoothing.leg_turn import turn_legs
from pear_ros.smoothing.smoother import MAX_GAP
from pear_ros.smoothing.soles import sole_points
from testing.open_people import CAMERA, JOINT, batch, open_body, person, t_pose

RATE = 30.0
LEFT, RIGHT = slice(0, 2), slice(2, 4)
ANKLES = [JOINT["left_ankle"], JOINT["right_ankle"]]


def standing(x: float = 0.0, swing: float = 0.0) -> Person:
    """A person at `x` metres whose right leg is turned outwards by `swing` radians."""
    bends = {"right_hip": (0.0, 0.0, -swing)}
    return replace(person(t_pose(**bends), (x, 0.0, 4.0)), depth_error=0.1)


def floor() -> GroundPlane:
    """The floor below the soles of a standing person, before a level camera."""
    soles = float(open_body().vertices(*batch(t_pose(), (0.0, 0.0, 4.0)))[0, :, 1].max())
    return GroundPlane.from_tilt(soles, 0.0, 0.005, 0.01)


def followed(
    persons: Sequence[Person], feet: Feet | None = None, ground: GroundPlane | None = None
) -> list[Person]:
    feet = feet or Feet()
    return [feet([one], CAMERA, n / RATE, ground)[0] for n, one in enumerate(persons)]


def noisy(count: int, std: float) -> list[Person]:
    """A person who stands, with noise of the legs' rotations."""
    rng = np.random.default_rng(5)
    poses = [rng.normal(0.0, std, (2, 3)) for _ in range(count)]
    return [
        person(t_pose(left_hip=tuple(left), right_hip=tuple(right)), (0.0, 0.0, 4.0))
        for left, right in poses
    ]


# Contact


@pytest.mark.parametrize("ground", [None, floor()])
def test_contact_of_a_foot_that_swings_is_improbable_and_of_one_that_stands_is_certain(
    ground: GroundPlane | None,
) -> None:
    persons = [standing(swing=0.8 * np.sin(4.0 * n / RATE)) for n in range(20)]
    first, *_, last = followed(persons, ground=ground)
    assert np.isnan(first.foot_contact).all(), "no speed is known yet"
    assert (last.foot_contact[LEFT] > 0.9).all()
    assert (last.foot_contact[RIGHT] < 0.3).all()
    assert last.foot_contact.dtype == np.float32


def test_contact_of_a_foot_at_rest_above_a_known_floor_is_less_probable() -> None:
    raised = [standing(swing=1.2)] * 15
    contact = followed(raised, ground=floor())[-1].foot_contact
    assert (contact[RIGHT] < contact[LEFT] - 0.2).all()


def test_contact_needs_no_height_of_people_whose_distance_is_unknown() -> None:
    raised = [replace(standing(swing=1.2), depth_error=np.nan)] * 6
    after = followed(raised, ground=floor())[-1]
    np.testing.assert_array_equal(after.foot_contact, followed(raised)[-1].foot_contact)
    assert (after.foot_contact > 0.8).all()


def test_contact_does_not_depend_on_the_frame_rate() -> None:
    contacts = []
    for rate in (15.0, 60.0):
        feet, steps = Feet(), int(rate)
        persons = [standing(0.3 * max(n / rate - 0.6, 0.0)) for n in range(steps)]
        got = [feet([one], CAMERA, n / rate)[0] for n, one in enumerate(persons)]
        contacts.append(got[-1].foot_contact)
    np.testing.assert_allclose(*contacts, atol=0.12)


def test_contact_of_feet_that_are_not_seen_is_unknown() -> None:
    one = standing()
    confidence = one.joint_confidence.copy()
    confidence[[JOINT["left_ankle"], JOINT["left_foot"]]] = 0.1
    hidden = replace(one, joint_confidence=confidence)
    after = followed([hidden] * 6)[-1]
    assert np.isnan(after.foot_contact[LEFT]).all()
    assert (after.foot_contact[RIGHT] > 0.8).all()
    # An estimator that tells no confidence has seen them.
    silent = replace(one, joint_confidence=np.full(55, np.nan, np.float32))
    assert (followed([silent] * 6)[-1].foot_contact > 0.8).all()


def test_contact_is_that_of_the_fixed_frame_when_the_camera_moves() -> None:
    motion = RigidTransform(
        Rotation.from_rotvec([0.0, 0.02, 0.0]).as_matrix(), np.array([0.03, 0.0, 0.01])
    )
    one, feet = standing(), Feet()
    for n in range(20):
        if n:
            feet.move(motion)
            transl = one.smplx.transl
            root = Rotation.from_matrix(motion.rotation) * Rotation.from_rotvec(one.smplx.pose[0])
            pose = one.smplx.pose.copy()
            pose[0] = root.as_rotvec()
            pelvis = one.joints[0]
            transl = motion.apply(pelvis) - pelvis + transl
            one = replace(
                one,
                smplx=replace(one.smplx, pose=pose, transl=transl),
                joints=motion.apply(one.joints),
            )
        after = feet([one], CAMERA, n / RATE)[0]
        np.testing.assert_allclose(after.joints, one.joints, atol=1e-4)
    assert (after.foot_contact > 0.9).all()
    without = Feet()
    for n in range(20):
        sliding = without([standing(0.05 * n)], CAMERA, n / RATE)[0]
    assert (sliding.foot_contact < 0.1).all()


# States


def test_feet_leave_alone_whom_they_cannot_follow() -> None:
    one = standing()
    assert Feet()([], CAMERA, 0.0) == []
    for broken in (
        replace(one, state=TrackingState.PREDICTED),
        replace(one, joints=np.full_like(one.joints, np.nan)),
        replace(one, smplx=replace(one.smplx, pose=np.full_like(one.smplx.pose, np.nan))),
        replace(one, joints=-one.joints),
    ):
        feet = Feet()
        for n in range(3):
            assert feet([broken], CAMERA, n / RATE)[0] is broken
        assert not feet.state()["_states"]


def test_feet_start_anew_after_a_gap_an_earlier_stamp_a_reset_and_a_lost_track() -> None:
    one = standing()

    def begun() -> Feet:
        feet = Feet()
        followed([one] * 5, feet)
        return feet

    for stamp in (4 / RATE + MAX_GAP + 0.01, 0.0):
        assert begun()([one], CAMERA, stamp)[0] is one
    feet = begun()
    feet.reset()
    assert feet([one], CAMERA, 5 / RATE)[0] is one
    feet = begun()
    feet([replace(one, state=TrackingState.LOST)], CAMERA, 5 / RATE)
    assert not feet.state()["_states"]


def test_feet_treat_people_one_by_one() -> None:
    frames = noisy(12, 0.02)
    others = [replace(one, id="h2") for one in frames[::-1]]
    alone = followed(frames)
    feet = Feet()
    for n, (one, other) in enumerate(zip(frames, others, strict=True)):
        persons = [other, one] if n % 2 else [one]
        got = feet(persons, CAMERA, n / RATE)[-1]
        np.testing.assert_array_equal(got.joints, alone[n].joints)
        np.testing.assert_array_equal(got.foot_contact, alone[n].foot_contact)


# Feet in place


def test_feet_in_contact_slide_less_and_stay_within_the_bound_in_the_image() -> None:
    frames = noisy(60, 0.008)
    held = followed(frames)
    slides = [
        np.linalg.norm(np.diff([p.joints[ANKLES] for p in people], axis=0), axis=-1)[10:].mean()
        for people in (frames, held)
    ]
    assert slides[1] < 0.4 * slides[0]
    for before, after in zip(frames, held, strict=True):
        joints = open_body().joints(*batch(after.smplx.pose, (0.0, 0.0, 4.0)))[0]
        np.testing.assert_allclose(after.joints, joints, atol=1e-5)
        np.testing.assert_allclose(after.keypoints, CAMERA.project(joints), atol=0.01)
        np.testing.assert_array_equal(after.smplx.transl, before.smplx.transl)
        apart = np.linalg.norm(after.keypoints - before.keypoints, axis=1)[ANKLES]
        assert apart.max() <= 1.1 * MAX_IMAGE_SHARE * (before.box[2:] - before.box[:2]).max()


def test_a_foot_that_has_left_the_floor_is_where_it_was_estimated() -> None:
    persons = [standing()] * 10 + [standing(swing=2.0 * n / RATE) for n in range(20)]
    before, after = persons[-1], followed(persons)[-1]
    np.testing.assert_allclose(after.joints, before.joints, atol=2e-3)


@hypothesis.given(seed=st.integers(0, 2**32 - 1), size=st.floats(0.0, 0.3))
@hypothesis.settings(max_examples=30, deadline=None)
def test_turn_legs_keeps_lengths_feet_and_all_other_joints(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    pose = t_pose(**{name: tuple(rng.normal(0.0, 0.4, 3)) for name in JOINT if name != "pelvis"})
    one = person(pose)
    offsets = rng.normal(0.0, size, (1, 2, 3))
    new_pose, new_joints = turn_legs(pose[None], one.joints[None], offsets)
    again = person(new_pose[0])
    np.testing.assert_allclose(again.joints, new_joints[0], atol=2e-5)
    legs = [JOINT[f"{side}_{name}"] for side in ("left", "right") for name in ("knee", "ankle")]
    feet = [JOINT["left_foot"], JOINT["right_foot"]]
    others = np.setdiff1d(np.arange(55), [*legs, *feet])
    np.testing.assert_array_equal(new_joints[0, others], one.joints[others])
    soles = [
        sole_points(p, j)[0] - np.repeat(j[0, ANKLES], 2, axis=0)
        for p, j in ((pose[None], one.joints[None]), (new_pose, new_joints))
    ]
    np.testing.assert_allclose(*soles, atol=2e-5)
    hips = [JOINT["left_hip"], JOINT["right_hip"]]
    wanted = one.joints[ANKLES] + offsets[0] - one.joints[hips]
    leg = new_joints[0, ANKLES] - one.joints[hips]
    cosine = (wanted * leg).sum(1) / np.linalg.norm(wanted, axis=1) / np.linalg.norm(leg, axis=1)
    np.testing.assert_allclose(cosine, 1.0, atol=1e-4)


def test_soles_are_on_the_lowest_vertices_of_a_standing_body() -> None:
    one = person(t_pose())
    soles = sole_points(one.smplx.pose[None], one.joints[None])[0]
    lowest = open_body().vertices(*batch(one.smplx.pose, (0.0, 0.0, 4.0)))[0, :, 1].max()
    np.testing.assert_allclose(soles[:, 1], lowest, atol=0.01)
    assert (soles[[1, 3], 2] < soles[[0, 2], 2] - 0.15).all(), "toes are ahead of heels"
    assert (soles[LEFT, 0] > 0.0).all() and (soles[RIGHT, 0] < 0.0).all()


@hypothesis.given(
    seed=st.integers(0, 2**32 - 1),
    speed=st.floats(0.0, 100.0),
    dt=st.floats(1e-3, 0.5),
    known=st.booleans(),
)
@hypothesis.settings(max_examples=50, deadline=None)
def test_contact_is_a_probability_and_offsets_are_bounded(
    seed: int, speed: float, dt: float, known: bool
) -> None:
    rng = np.random.default_rng(seed)
    soles = rng.normal((0.0, 1.0, 4.0), 0.1, (2, 4, 3))
    states = foot_contact.initialise(soles, 0.0)
    anchors = foot_anchors.initialise(soles)
    for n in range(1, 8):
        soles = soles + rng.normal(0.0, speed * dt, soles.shape)
        height = rng.normal(0.0, 1.0, (2, 4)) if known else np.full((2, 4), np.nan)
        seen = rng.choice([0.0, 1.0, np.nan], (2, 4))
        states = foot_contact.update(states, soles, n * dt, seen, height, 0.1 + 0.0 * height)
        contact = foot_contact.probability(states.log_odds)
        assert ((contact > 0.0) & (contact < 1.0)).all()
        bound = np.array([0.01, 0.02])
        legs = rng.normal(0.0, 1.0, (2, 2, 3))
        arguments = (np.array([0.0, -1.0, 0.0]), np.full(2, dt), legs, bound)
        anchors = foot_anchors.update(anchors, soles, contact, height, *arguments)
        assert (np.linalg.norm(anchors.offset, axis=-1) < 0.15).all()
