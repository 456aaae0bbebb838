# SPDX-License-Identifier: Apache-2.0
"""Smoother: jitter, lag, outliers, jumps and gaps on synthetic motion of the open body."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core.people import Array, DepthSource, FlameParams, Person, TrackingState, stack
from pear_ros.smoothing.smoother import MAX_GAP, Smoother
from testing.open_people import CAMERA, JOINT, open_body, person, t_pose

RATE = 30.0
ELBOW = JOINT["left_elbow"]


class OpenBodies:
    """The part of an estimator that the smoother uses."""

    calls = 0

    def joints(self, persons: Sequence[Person]) -> Array:
        self.calls += 1
        smplx = stack([p.smplx for p in persons])
        return open_body().joints(smplx.pose, smplx.betas, smplx.expression, smplx.transl)


def smoother() -> Smoother:
    return Smoother(ScaledBodies(OpenBodies()))  # type: ignore[arg-type]


def changed(one_person: Person, **parameters: np.ndarray) -> Person:
    smplx = dataclasses.replace(
        one_person.smplx, **{name: np.float32(value) for name, value in parameters.items()}
    )
    return dataclasses.replace(one_person, smplx=smplx)


def smoothed(persons: Sequence[Person], rate: float = RATE) -> list[Person]:
    """Smooth the images of one person, `rate` per second."""
    smooth = smoother()
    return [smooth([one], CAMERA, n / rate)[0] for n, one in enumerate(persons)]


def bent(angle: float) -> Person:
    """A person with the elbow bent by an angle, radians."""
    return person(t_pose(left_elbow=(0.0, -angle, 0.0)))


def angle_between(one: Person, other: Person, joint: int = ELBOW) -> float:
    turns = [Rotation.from_rotvec(p.smplx.pose[joint]) for p in (one, other)]
    return float((turns[0].inv() * turns[1]).magnitude())


def same(one: Person, other: Person) -> bool:
    arrays = [
        (getattr(a, part.name), getattr(b, part.name))
        for a, b in ((one, other), (one.smplx, other.smplx))
        for part in dataclasses.fields(a)
        if isinstance(getattr(a, part.name), np.ndarray)
    ]
    return all(np.array_equal(a, b, equal_nan=True) for a, b in arrays)


def consistent(one_person: Person) -> None:
    """Assert that joints and keypoints are those of the parameters."""
    joints = ScaledBodies(OpenBodies()).joints([one_person])[0]  # type: ignore[arg-type]
    np.testing.assert_allclose(one_person.joints, joints, atol=2e-5)
    np.testing.assert_allclose(one_person.keypoints, CAMERA.project(joints), atol=0.02)


# People who are returned unchanged


def test_smoother_returns_the_first_image_unchanged() -> None:
    smooth, model = smoother(), bent(0.3)
    assert smooth([model], CAMERA, 0.0)[0] is model
    assert smooth([bent(0.4)], CAMERA, 0.1)[0] is not model
    smooth.reset()
    assert smooth([model], CAMERA, 0.2)[0] is model
    assert smooth([], CAMERA, 0.3) == []


@pytest.mark.parametrize("state", [TrackingState.PREDICTED, TrackingState.LOST])
def test_smoother_ignores_people_who_are_not_measured(state: TrackingState) -> None:
    smooth, reference = smoother(), smoother()
    for n in range(10):
        smooth([bent(0.1)], CAMERA, n / RATE)
        reference([bent(0.1)], CAMERA, n / RATE)
    guess = dataclasses.replace(bent(1.0), state=state)
    assert smooth([guess], CAMERA, 10 / RATE)[0] is guess
    back = bent(0.2)
    after = smooth([back], CAMERA, 11 / RATE)[0]
    if state is TrackingState.LOST:
        assert after is back, "the state was dropped"
    else:
        assert same(after, reference([back], CAMERA, 11 / RATE)[0])
        assert 0.0 < angle_between(after, back) < 0.1


@pytest.mark.parametrize("stamp", [1.0 + MAX_GAP + 0.01, 0.9])
def test_smoother_is_reset_after_a_gap_or_an_earlier_stamp(stamp: float) -> None:
    smooth = smoother()
    for n in range(31):
        smooth([bent(0.05 * n)], CAMERA, n / RATE)
    back = bent(0.3)
    assert smooth([back], CAMERA, stamp)[0] is back
    assert angle_between(smooth([bent(0.3)], CAMERA, stamp + 1 / RATE)[0], back) < 1e-3


def test_smoother_bridges_a_short_gap() -> None:
    angles = 1.0 * np.arange(63) / RATE
    smooth = smoother()
    for n in (*range(50), 60, 61, 62):
        after = smooth([bent(angles[n])], CAMERA, n / RATE)[0]
        assert n == 0 or angle_between(after, bent(angles[n])) > 1e-6, "filtered"
    assert angle_between(after, bent(angles[62])) < 0.05


@pytest.mark.parametrize("part", ["pose", "betas", "expression", "transl"])
def test_smoother_ignores_parameters_that_are_not_finite(part: str) -> None:
    rng = np.random.default_rng(0)
    persons = [bent(angle) for angle in rng.normal(0.5, 0.05, 12)]
    smooth, without = smoother(), smoother()
    for n, one in enumerate(persons):
        if n == 6:
            values = getattr(one.smplx, part).copy()
            values.flat[-1] = np.nan
            broken = changed(one, **{part: values})
            sound = dataclasses.replace(bent(0.5), id="h2")
            got = smooth([broken, sound], CAMERA, n / RATE)
            assert got[0] is broken and got[1] is sound
        else:
            got, expected = smooth([one], CAMERA, n / RATE), without([one], CAMERA, n / RATE)
            assert same(got[0], expected[0])


def test_smoother_ignores_people_behind_the_camera() -> None:
    behind = person(t_pose(), (0.0, 0.0, -2.0))
    smooth = smoother()
    for n in range(3):
        assert smooth([behind], CAMERA, n / RATE)[0] is behind


def test_smoother_keeps_box_score_state_and_scale() -> None:
    smooth = smoother()
    for n in range(5):
        one = dataclasses.replace(bent(0.1 * n), score=0.1 * n, scale=0.9 + 0.01 * n)
        joints = ScaledBodies(OpenBodies()).joints([one])[0]  # type: ignore[arg-type]
        one = dataclasses.replace(one, joints=joints, keypoints=CAMERA.project(joints))
        got = smooth([one], CAMERA, n / RATE)[0]
        consistent(got)
        assert (got.id, got.state, got.score, got.scale) == (
            one.id,
            one.state,
            one.score,
            one.scale,
        )
        np.testing.assert_array_equal(got.box, one.box)
        np.testing.assert_array_equal(got.joint_confidence, one.joint_confidence)


# Motion without noise


def test_smoother_keeps_a_resting_person() -> None:
    rng = np.random.default_rng(0)
    still = person(rng.normal(0, 0.8, (55, 3)).astype(np.float32), (0.3, -0.2, 3.0))
    for got in smoothed([still] * 20):
        for joint in range(55):
            assert angle_between(got, still, joint) < 1e-5
        np.testing.assert_allclose(got.joints, still.joints, atol=1e-5)
        np.testing.assert_allclose(got.smplx.transl, still.smplx.transl, atol=1e-5)


@pytest.mark.parametrize("rate", [10.0, 30.0])
def test_smoother_follows_steady_motion_without_lag(rate: float) -> None:
    stamps = np.arange(0.0, 8.0, 1 / rate)
    speed, turning = np.array([0.3, 0.1, -0.4]), 3.0
    persons = []
    for stamp in stamps:
        pose = t_pose(left_elbow=(0.0, turning * stamp, 0.0))
        pose[0] = (
            Rotation.from_rotvec([0, turning * stamp, 0]) * Rotation.from_rotvec(pose[0])
        ).as_rotvec()
        persons.append(person(pose, tuple(np.array([-1.0, 0.0, 5.0]) + speed * stamp)))
    settled = int(6.0 * rate)
    for got, true in list(zip(smoothed(persons, rate), persons, strict=True))[settled:]:
        for joint in (0, ELBOW):
            assert angle_between(got, true, joint) / turning < 0.002, "seconds"
        lag = np.abs(got.joints[0] - true.joints[0]) / np.linalg.norm(speed)
        assert (lag < (0.008, 0.008, 0.03)).all(), "seconds; depth has more measurement noise"
        consistent(got)


def test_smoother_filters_rotations_around_pi() -> None:
    """There, rotation vectors change their sign."""
    rng = np.random.default_rng(1)
    persons = []
    for _ in range(60):
        pose = t_pose()
        wobble = Rotation.from_rotvec(rng.normal(0, 0.05, 3))
        pose[0] = (wobble * Rotation.from_rotvec([np.pi, 0.0, 0.0])).as_rotvec()
        persons.append(person(pose))
    signs = {float(np.sign(p.smplx.pose[0, 0])) for p in persons}
    assert signs == {-1.0, 1.0}
    off = [angle_between(got, person(t_pose()), 0) for got in smoothed(persons)[10:]]
    assert max(off) < 0.07


# Motion with noise


def noisy(count: int, size: float, seed: int = 0) -> list[Person]:
    """A person who stands still, measured with noise of `size` radians in each joint."""
    rng = np.random.default_rng(seed)
    rest = t_pose(left_elbow=(0.0, -0.5, 0.0))
    persons = []
    for _ in range(count):
        noise = Rotation.from_rotvec(rng.normal(0, size, (55, 3)))
        pose = (Rotation.from_rotvec(rest) * noise).as_rotvec().astype(np.float32)
        across, further = rng.normal(0, 0.005, 2), np.exp(0.03 * rng.normal())
        persons.append(person(pose, tuple(further * np.array([*across, 4.0]))))
    return persons


def spread(values: Callable[[Person], np.ndarray], persons: Sequence[Person]) -> float:
    settled = np.array([values(p) for p in persons[len(persons) // 3 :]])
    return float(np.linalg.norm(settled - settled.mean(axis=0), axis=-1).mean())


@pytest.mark.parametrize("size", [0.01, 0.05, 0.1])
def test_smoother_adapts_to_the_size_of_the_noise(size: float) -> None:
    persons = noisy(150, size)
    smooth = smoothed(persons)
    assert spread(lambda p: p.smplx.pose[ELBOW], smooth) < 0.4 * spread(
        lambda p: p.smplx.pose[ELBOW], persons
    )
    depth, smooth_depth = (spread(lambda p: p.joints[0, 2:], ps) for ps in (persons, smooth))
    assert smooth_depth < 0.4 * depth


def test_smoother_reduces_depth_noise_without_lag_in_the_image() -> None:
    """A person walks across the image while the measured distance is noisy."""
    rng = np.random.default_rng(3)
    rays = np.stack([np.linspace(-0.3, 0.3, 90), np.full(90, 0.05), np.ones(90)], axis=1)
    depths = 4.0 * np.exp(0.03 * rng.normal(size=90))
    persons = [person(t_pose(), tuple(d * ray)) for d, ray in zip(depths, rays, strict=True)]
    smooth = smoothed(persons)
    off = np.array([a.keypoints[0] - b.keypoints[0] for a, b in zip(smooth, persons, strict=True)])
    assert np.abs(off[15:]).max() < 2.0, "pixels, of 100 a second"
    assert np.abs(off[60:]).max() < 0.5
    assert spread(lambda p: p.joints[0, 2:], smooth) < 0.4 * spread(
        lambda p: p.joints[0, 2:], persons
    )


@pytest.mark.parametrize("rate", [10.0, 30.0])
def test_smoother_rejects_a_single_outlier(rate: float) -> None:
    persons = noisy(60, 0.03)
    jump = np.array(persons[40].smplx.pose)
    jump[ELBOW] = (
        Rotation.from_rotvec([1.0, 0, 0]) * Rotation.from_rotvec(jump[ELBOW])
    ).as_rotvec()
    with_jump = [*persons[:40], changed(persons[40], pose=jump), *persons[41:]]
    for got, usual in zip(smoothed(with_jump, rate), smoothed(persons, rate), strict=True):
        assert angle_between(got, usual) < 0.06


def test_smoother_resets_at_the_second_of_two_outliers_that_agree() -> None:
    before, after = noisy(30, 0.02), noisy(30, 0.02, seed=1)
    there = []
    for one in after:
        pose = np.array(one.smplx.pose)
        pose[ELBOW] = (
            Rotation.from_rotvec([1.2, 0, 0]) * Rotation.from_rotvec(pose[ELBOW])
        ).as_rotvec()
        there.append(changed(one, pose=pose))
    got = smoothed([*before, *there])[30:]
    off = [angle_between(a, b) for a, b in zip(got, there, strict=True)]
    assert off[0] > 1.0, "taken for an outlier"
    assert max(off[1:]) < 0.12, "no overshoot"


def test_smoother_resets_at_a_jump_of_the_body_and_not_of_a_hand() -> None:
    persons = noisy(40, 0.02)
    body, hand = slice(0, 22), slice(JOINT["left_index1"], JOINT["left_index1"] + 15)
    for joints in (body, hand, slice(0, 55)):
        pose = np.array(persons[-1].smplx.pose)
        leap = Rotation.from_rotvec([0.0, 0.6, 0.0])
        pose[joints] = (Rotation.from_rotvec(pose[joints]) * leap).as_rotvec()
        leapt = changed(persons[-1], pose=pose)
        got = smoothed([*persons[:-1], leapt])[-1]
        off = np.array([angle_between(got, leapt, n) for n in range(55)])
        if joints is not hand:
            assert off[body].max() < 1e-3
        if joints is not body:
            assert off[hand].min() > 0.5


def test_smoother_keeps_an_approaching_person_in_front_of_the_camera() -> None:
    smooth = smoother()
    depths = [*np.linspace(20.0, 2.0, 60), 0.6, 0.6, 0.6, 0.6]
    stamps = [*np.arange(60) / RATE, *(59 / RATE + 0.45 + np.arange(4) / RATE)]
    for depth, stamp in zip(depths, stamps, strict=True):
        got = smooth([person(t_pose(), (0.0, 0.0, depth))], CAMERA, stamp)[0]
        assert got.joints[0, 2] > 0.2
    assert abs(got.joints[0, 2] - 0.6) < 0.2


def test_smoother_follows_a_quick_motion_within_a_few_images() -> None:
    """An arm rises by 100 degrees in a third of a second, from rest."""
    rng = np.random.default_rng(2)
    share = np.clip((np.arange(60) - 30) / 10, 0.0, 1.0)
    angles = np.radians(100) * share**3 * (10 - 15 * share + 6 * share**2)
    persons = [bent(angle + rng.normal(0, 0.02)) for angle in angles]
    true = [bent(angle) for angle in angles]
    off = [angle_between(a, b) for a, b in zip(smoothed(persons), true, strict=True)]
    assert max(off[30:]) < np.radians(20)
    assert max(off[42:]) < np.radians(9)
    assert max(off[46:]) < np.radians(3)


def test_smoother_weights_joints_by_their_confidence() -> None:
    seen, hidden = smoother(), smoother()
    for n, one in enumerate(noisy(40, 0.03)):
        seen([one], CAMERA, n / RATE)
        hidden([one], CAMERA, n / RATE)
    confidence = np.full(55, np.nan, np.float32)
    moved = dataclasses.replace(bent(0.56), joint_confidence=confidence)
    doubtful = confidence.copy()
    doubtful[ELBOW] = 0.0
    sure = angle_between(seen([moved], CAMERA, 40 / RATE)[0], moved)
    moved = dataclasses.replace(moved, joint_confidence=doubtful)
    unsure = angle_between(hidden([moved], CAMERA, 40 / RATE)[0], moved)
    assert unsure > 1.05 * sure


# Shape and face


def test_smoother_averages_the_shape_and_recovers_from_a_wrong_start() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1, 10)
    start = changed(bent(0.1), betas=truth + 3.0)
    persons = [changed(bent(0.1), betas=truth + rng.normal(0, 0.5, 10)) for _ in range(200)]
    got = np.array([p.smplx.betas for p in smoothed([start, *persons])]) - truth
    assert np.abs(got[-1]).mean() < 0.1
    assert np.linalg.norm(np.diff(got[-50:], axis=0), axis=1).max() < 0.15
    consistent(smoothed([start, *persons[:5]])[-1])
    assert np.abs(got[30]).mean() < 0.4
    other = [changed(bent(0.1), betas=truth + 1.0)] * 40
    changed_mind = smoothed([*persons[:40], *other], rate=2.1)[-1].smplx.betas
    assert np.abs(changed_mind - truth - 1.0).max() < 0.2, "19 seconds later"


def test_smoother_filters_flame_parameters() -> None:
    rng = np.random.default_rng(0)
    truth = FlameParams(
        shape=rng.normal(size=300),
        expression=rng.normal(size=50),
        jaw=np.array([0.3, 0.0, 0.0]),
        eyes=np.array([0.1, 0.2, 0.0, -0.1, 0.2, 0.0]),
        eyelids=np.array([0.2, 0.4]),
        head_scale=np.array([1.0, 1.1, 0.9]),
    )
    names = [part.name for part in dataclasses.fields(FlameParams)]

    def head(noise: float) -> FlameParams:
        values = {n: getattr(truth, n) for n in names}
        return FlameParams(
            **{n: np.float32(v + noise * rng.normal(size=v.shape)) for n, v in values.items()}
        )

    persons = [dataclasses.replace(bent(0.1), flame=head(0.05)) for _ in range(120)]
    smooth = smoothed(persons)
    for name in names:
        before, after = (
            np.std([getattr(p.flame, name) for p in people[60:]], axis=0).mean()
            for people in (persons, smooth)
        )
        assert after < (0.4 if name in ("shape", "head_scale", "jaw", "eyes") else 0.75) * before
        np.testing.assert_allclose(getattr(smooth[-1].flame, name), getattr(truth, name), atol=0.15)
        assert getattr(smooth[-1].flame, name).shape == getattr(truth, name).shape
    still = smoothed([dataclasses.replace(bent(0.1), flame=head(0.0))] * 3)[-1].flame
    for name in names:
        np.testing.assert_allclose(getattr(still, name), getattr(truth, name), atol=1e-5)


# Several people


def test_smoother_filters_people_independently() -> None:
    """The others, and the order of people, change nothing."""
    rng = np.random.default_rng(5)
    tracks = {
        name: [dataclasses.replace(p, id=name) for p in noisy(15, 0.05, seed)]
        for seed, name in enumerate(("h1", "h2", "h3"))
    }
    alone = {name: smoothed(track) for name, track in tracks.items()}
    smooth = smoother()
    since = {"h1": 0, "h2": 0, "h3": 5}
    alone["h3"] = [None] * 5 + smoothed(tracks["h3"][5:])  # type: ignore[assignment]
    for n in range(15):
        names = [name for name in tracks if n >= since[name]]
        rng.shuffle(names)
        got = smooth([tracks[name][n] for name in names], CAMERA, n / RATE)
        assert [p.id for p in got] == names
        for name, one in zip(names, got, strict=True):
            np.testing.assert_allclose(one.joints, alone[name][n].joints, atol=1e-4)
            np.testing.assert_allclose(one.smplx.transl, alone[name][n].smplx.transl, atol=1e-5)


def test_smoother_computes_all_joints_in_one_batch() -> None:
    bodies = OpenBodies()
    smooth = Smoother(ScaledBodies(bodies))  # type: ignore[arg-type]
    for n in range(3):
        smooth([dataclasses.replace(bent(0.1 * n), id=f"h{k}") for k in range(4)], CAMERA, n / RATE)
    assert bodies.calls == 2


@hypothesis.given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 1e-9, 0.001, 0.03, 0.2, 0.5, 3.0]),
            st.integers(0, 2**20),
            st.sampled_from([0.01, 0.5, 4.0, 50.0]),
            st.sampled_from([0.01, 1.0, 10.0]),
        ),
        min_size=2,
        max_size=8,
    )
)
@hypothesis.settings(max_examples=40)
def test_smoother_returns_a_consistent_body_for_any_input(
    images: list[tuple[float, int, float, float]],
) -> None:
    """Any time steps, including zero, any rotations, and any jumps in position."""
    smooth, stamp = smoother(), 0.0
    for elapsed, seed, size, distance in images:
        stamp += elapsed
        rng = np.random.default_rng(seed)
        pose = (size * rng.normal(size=(55, 3))).astype(np.float32)
        one = person(pose, (float(rng.normal()), float(rng.normal()), distance))
        if not np.isfinite(one.keypoints).all():
            continue
        got = smooth([one], CAMERA, stamp)[0]
        assert all(np.isfinite(a).all() for a in (got.smplx.pose, got.joints, got.smplx.transl))
        assert got.joints[0, 2] > 0.0
        assert got.joints.dtype == got.smplx.pose.dtype == got.keypoints.dtype == np.float32
        np.testing.assert_allclose(
            ScaledBodies(OpenBodies()).joints([got])[0],  # type: ignore[arg-type]
            got.joints,
            atol=1e-4,
        )


# Scale


def at_scale(scale: float, source: DepthSource) -> Person:
    """A body measured in one image, at the distance of its scale."""
    one = person(t_pose(), transl=(0.3, 0.0, 4.0))
    return dataclasses.replace(
        one,
        smplx=dataclasses.replace(one.smplx, transl=one.smplx.transl * np.float32(scale)),
        joints=one.joints * np.float32(scale),
        scale=scale,
        depth_source=source,
    )


@pytest.mark.parametrize("known", [DepthSource.MEASURED, DepthSource.BODY_HEIGHT])
def test_smoother_applies_a_newly_known_scale_at_once(known: DepthSource) -> None:
    before = [at_scale(1.0, DepthSource.ASSUMED)] * 10
    after = at_scale(1.3, known)
    smooth = smoothed([*before, after, after])
    for one in smooth[10:]:
        np.testing.assert_allclose(one.joints, after.joints, atol=1e-3)


def test_smoother_follows_measured_depth_sooner_than_estimated_depth() -> None:
    """Largest depth error of a person who comes nearer."""

    def lag(source: DepthSource) -> float:
        scales = [1.0] * 5 + [1.0 - 0.0075 * n for n in range(12)]
        persons = [at_scale(scale, source) for scale in scales]
        pairs = zip(smoothed(persons), persons, strict=True)
        return max(float(one.joints[0, 2] - other.joints[0, 2]) for one, other in pairs)

    assert 0.0 < lag(DepthSource.MEASURED) < 0.5 * lag(DepthSource.BODY_HEIGHT)
