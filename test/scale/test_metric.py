# SPDX-License-Identifier: Apache-2.0
"""True size and distance, on rendered depth of which the truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.core.distortion import Distortion
from pear_ros.core.people import Array, DepthSource, Person, TrackingState
from pear_ros.scale.metric_scale import MetricScale
from pear_ros.scale.scale_fit import Expected, fit_log_factor
from pear_ros.scale.surface import Surface, median_depth, visible_surface
from testing.synthetic_depth import CAMERA, DepthStudio, OpenPeople, Scene, Spoilt, Wrongness

PEOPLE = OpenPeople()
BODIES = ScaledBodies(PEOPLE)
STUDIO = DepthStudio(PEOPLE)
NEARLY_RIGHT = Wrongness(degrees=1.5, betas=0.3, pixels=1.0)
RIGHT = Wrongness(0.0, 0.0, 0.0)
CLEAN = Spoilt(0.0, 0.0, 0.0)
NO_DEPTH = np.full((CAMERA.height, CAMERA.width), np.nan, np.float32)
UNCALIBRATED = replace(CAMERA, source=IntrinsicsSource.FIELD_OF_VIEW)


def scene(seed: int = 0, occluder: str = "nothing", cover: float = 0.0, **others: object) -> Scene:
    """Somebody who stands 4 m away and is 1.9 m tall, which is more than is estimated."""
    arguments: dict[str, object] = {"distance": 4.0, "height": 1.9, "wrong": NEARLY_RIGHT, **others}
    return STUDIO.scene(
        np.random.default_rng(seed), "standing", occluder=occluder, cover=cover, **arguments
    )


STANDING = scene(1, wrong=RIGHT, spoilt=CLEAN)


def measure(
    metric: MetricScale,
    persons: Sequence[Person] | Person,
    depth: Array | None,
    camera: Camera = CAMERA,
    body_height: float | None = None,
    stamp: float = 0.0,
) -> list[Person]:
    persons = [persons] if isinstance(persons, Person) else persons
    return metric(persons, camera, stamp, depth, body_height)


def distance_error(person: Person, of: Scene) -> float:
    return abs(float(person.joints[0, 2]) / of.distance - 1.0)


def height(person: Person) -> float:
    return float(BODIES.heights([person])[0])


@pytest.mark.parametrize("occluder", ["nothing", "board", "table", "person"])
def test_distance_whatever_is_wrong_with_the_depth_image(occluder: str) -> None:
    errors = []
    for seed in range(5):
        of = scene(seed, occluder, 0.08 * seed, height=(1.4, 1.6, 1.75, 1.9, 2.0)[seed])
        [person] = measure(MetricScale(BODIES), of.person, of.depth)
        assert person.depth_source is DepthSource.MEASURED
        errors.append(distance_error(person, of))
    assert max(errors) < 0.02
    assert np.median(errors) < 0.01


def test_a_right_estimate_is_measured_exactly() -> None:
    [person] = measure(MetricScale(BODIES), STANDING.person, STANDING.depth)
    assert distance_error(person, STANDING) < 0.001
    assert height(person) == pytest.approx(1.9, rel=0.002)


def test_somebody_whom_a_lens_bends() -> None:
    lens = replace(CAMERA, distortion=Distortion("plumb_bob", (-0.3, 0.1, 0.001, -0.001, 0.0)))
    for seed in range(3):
        of = scene(seed, camera=lens, distance=2.5, spoilt=CLEAN, wrong=RIGHT)
        [person] = measure(MetricScale(BODIES), of.person, of.depth, lens)
        assert distance_error(person, of) < 0.002


def test_a_scaled_person_is_the_same_picture() -> None:
    before = STANDING.person
    [person] = measure(MetricScale(BODIES), before, STANDING.depth)
    factor = person.scale
    assert factor > 1.05
    np.testing.assert_allclose(person.joints, factor * before.joints, rtol=1e-6)
    np.testing.assert_allclose(person.smplx.transl, factor * before.smplx.transl, rtol=1e-6)
    np.testing.assert_allclose(BODIES.joints([person])[0], person.joints, atol=1e-5)
    np.testing.assert_allclose(
        CAMERA.project(BODIES.meshes([person])[0]),
        CAMERA.project(BODIES.meshes([before])[0]),
        atol=2e-3,
    )
    assert person.keypoints is before.keypoints
    assert person.box is before.box
    assert person.smplx.pose is before.smplx.pose


@given(factor=st.floats(0.8, 1.25), seed=st.integers(0, 2))
@settings(max_examples=15)
def test_depth_times_anything_is_distance_times_the_same(factor: float, seed: int) -> None:
    of = scene(seed, "table", 0.3, height=1.7)
    [once] = measure(MetricScale(BODIES), of.person, of.depth)
    [times] = measure(MetricScale(BODIES), of.person, of.depth * np.float32(factor))
    assert times.depth_source is DepthSource.MEASURED
    assert times.joints[0, 2] / once.joints[0, 2] == pytest.approx(factor, rel=0.005)


class CountedBodies(ScaledBodies):
    """Bodies that tell how many meshes were asked for in each call."""

    def __init__(self) -> None:
        super().__init__(PEOPLE)
        self.calls: list[int] = []

    def meshes(self, persons: Sequence[Person]) -> Array:
        self.calls.append(len(persons))
        return super().meshes(persons)


def test_nothing_is_done_for_nothing() -> None:
    bodies = CountedBodies()
    metric = MetricScale(bodies)
    [same] = measure(metric, STANDING.person, None)
    assert same is STANDING.person
    measure(metric, [], STANDING.depth)
    measure(metric, STANDING.person, None, body_height=1.7)
    assert bodies.calls == []
    two = [STANDING.person, replace(STANDING.person, id="h2")]
    measure(metric, two, STANDING.depth)
    assert bodies.calls == [2]


@pytest.mark.parametrize("value", [np.nan, 0.0, np.inf, -1.0])
def test_an_image_that_knows_no_depth(value: float) -> None:
    [person] = measure(MetricScale(BODIES), STANDING.person, np.full_like(NO_DEPTH, value))
    assert person.depth_source is DepthSource.ASSUMED
    assert person.scale == 1.0


def test_an_image_without_pixels() -> None:
    nowhere = replace(CAMERA, width=0, height=0)
    [person] = measure(MetricScale(BODIES), STANDING.person, np.empty((0, 0), np.float32), nowhere)
    assert person.depth_source is DepthSource.ASSUMED


def test_depth_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="320 x 240 pixels and the image 640 x 480"):
        measure(MetricScale(BODIES), STANDING.person, NO_DEPTH[::2, ::2])


def test_somebody_out_of_sight_or_unknown_is_not_measured() -> None:
    smplx = STANDING.person.smplx
    for transl in (smplx.transl + 50.0, -smplx.transl, smplx.transl * np.float32(np.nan)):
        moved = replace(
            STANDING.person,
            smplx=replace(smplx, transl=transl),
            joints=STANDING.person.joints - smplx.transl + transl,
        )
        [person] = measure(MetricScale(BODIES), moved, STANDING.depth)
        assert person.depth_source is DepthSource.ASSUMED


def test_a_wall_alone_has_nobodys_size() -> None:
    # 1.9 m tall at 4 m: at 40 m a giant, at 0.5 m a doll.
    for wall in (0.5, 40.0):
        depth = np.full_like(NO_DEPTH, wall)
        [person] = measure(MetricScale(BODIES), STANDING.person, depth)
        assert person.depth_source is DepthSource.ASSUMED


def test_a_learnt_height_serves_without_depth() -> None:
    metric = MetricScale(BODIES)
    [measured] = measure(metric, STANDING.person, STANDING.depth)
    later = scene(7, distance=6.0, height=1.9, wrong=RIGHT)
    for depth in (None, NO_DEPTH):
        [person] = measure(metric, later.person, depth, stamp=1.0)
        assert person.depth_source is DepthSource.BODY_HEIGHT
        assert height(person) == pytest.approx(height(measured), rel=1e-5)
        assert distance_error(person, later) < 0.01
    [stranger] = measure(metric, replace(later.person, id="h2"), None, stamp=1.0)
    assert stranger.depth_source is DepthSource.ASSUMED
    assert stranger.scale == 1.0


def test_a_height_is_learnt_over_images_and_not_from_the_last_alone() -> None:
    metric = MetricScale(BODIES)
    for image, wrong in enumerate([1.0] * 12 + [1.2]):
        [person] = measure(
            metric, STANDING.person, STANDING.depth * np.float32(wrong), stamp=image / 10
        )
        assert person.joints[0, 2] == pytest.approx(4.0 * wrong, rel=0.005), "measured directly"
    [person] = measure(metric, STANDING.person, None, stamp=2.0)
    assert height(person) == pytest.approx(1.9, rel=0.01)


def test_a_height_learnt_wrongly_is_corrected() -> None:
    metric = MetricScale(BODIES)
    for image in range(33):
        wrong = np.float32(0.75 if image < 3 else 1.0)
        measure(metric, STANDING.person, STANDING.depth * wrong, stamp=image / 10)
    [person] = measure(metric, STANDING.person, None, stamp=4.0)
    assert height(person) == pytest.approx(1.9, rel=0.03)


def test_a_known_height_tells_the_person_from_what_hides_them() -> None:
    of = scene(8, "board", 0.5, height=1.7)
    depth = np.where(of.depth < 3.5, np.float32(3.2), of.depth)
    metric = MetricScale(BODIES)
    [person] = measure(metric, of.person, depth)
    assert person.depth_source is DepthSource.ASSUMED, "either might be the person"
    free = scene(4, height=1.7)
    measure(metric, free.person, free.depth)
    [person] = measure(metric, of.person, depth)
    assert person.depth_source is DepthSource.MEASURED
    assert distance_error(person, of) < 0.01


def test_what_is_expected_is_the_true_size_not_the_estimated() -> None:
    of = scene(8, "board", 0.55, height=2.05)
    depth = np.where(of.depth < 3.5, np.float32(3.2), of.depth)
    metric = MetricScale(BODIES)
    free = scene(4, height=2.05)
    measure(metric, free.person, free.depth)
    [person] = measure(metric, of.person, depth)
    assert person.depth_source is DepthSource.MEASURED
    assert distance_error(person, of) < 0.01


def test_images_shortly_after_one_another_count_as_one() -> None:
    metric = MetricScale(BODIES)
    for image in range(9):
        wrong = np.float32(1.1 if image > 3 else 1.0)
        measure(metric, STANDING.person, STANDING.depth * wrong, stamp=1.0 + 0.01 * image)
    [person] = measure(metric, STANDING.person, None, stamp=2.0)
    assert height(person) == pytest.approx(1.9, rel=0.005)


def test_a_given_height() -> None:
    metric = MetricScale(BODIES)
    [person] = measure(metric, STANDING.person, None, body_height=1.9)
    assert person.depth_source is DepthSource.BODY_HEIGHT
    assert height(person) == pytest.approx(1.9, rel=1e-5)
    assert distance_error(person, STANDING) < 0.01
    [person] = measure(metric, STANDING.person, None, UNCALIBRATED, body_height=1.9)
    assert person.depth_source is DepthSource.ASSUMED, "the field of view is a guess"
    assert height(person) == pytest.approx(1.9, rel=1e-5)


def test_what_was_measured_goes_before_what_is_given() -> None:
    metric = MetricScale(BODIES)
    [person] = measure(metric, STANDING.person, STANDING.depth, body_height=1.6)
    assert person.depth_source is DepthSource.MEASURED
    assert height(person) == pytest.approx(1.9, rel=0.005)
    [person] = measure(metric, STANDING.person, None, body_height=1.6)
    assert person.depth_source is DepthSource.BODY_HEIGHT
    assert height(person) == pytest.approx(1.9, rel=0.005)


def test_depth_serves_with_a_wrong_field_of_view() -> None:
    # Twice the focal length: seen from the same picture, people are thought twice as far away.
    wide = replace(UNCALIBRATED, fx=2 * CAMERA.fx, fy=2 * CAMERA.fy)
    far = scene(1, wrong=RIGHT, spoilt=CLEAN, camera=wide, distance=8.0)
    [person] = measure(MetricScale(BODIES), far.person, far.depth / 2, wide)
    assert person.depth_source is DepthSource.MEASURED
    assert person.joints[0, 2] == pytest.approx(4.0, rel=0.01)


@pytest.mark.parametrize("state", [TrackingState.PREDICTED, TrackingState.LOST])
def test_a_guessed_place_is_not_measured(state: TrackingState) -> None:
    metric = MetricScale(BODIES)
    guessed = replace(STANDING.person, state=state)
    [person] = measure(metric, guessed, STANDING.depth)
    assert person.depth_source is DepthSource.ASSUMED
    [measured] = measure(metric, STANDING.person, STANDING.depth)
    [person] = measure(metric, guessed, STANDING.depth * np.float32(1.1))
    assert person.depth_source is DepthSource.BODY_HEIGHT
    assert person.scale == pytest.approx(measured.scale, rel=1e-5)


def test_who_is_lost_is_forgotten() -> None:
    def learnt(person: Person) -> bool:
        return measure(metric, person, None)[0].depth_source is DepthSource.BODY_HEIGHT

    metric = MetricScale(BODIES)
    lost = replace(STANDING.person, state=TrackingState.LOST)
    measure(metric, STANDING.person, STANDING.depth)
    assert learnt(lost), "once more"
    assert not learnt(STANDING.person)
    measure(metric, STANDING.person, STANDING.depth)
    measure(metric, [], None)
    assert not learnt(STANDING.person), "was not among them"
    measure(metric, STANDING.person, STANDING.depth)
    metric.reset()
    assert not learnt(STANDING.person)


def two_people() -> tuple[list[Person], Array]:
    """One 2.5 m away before another 4 m away, both tall; the nearer hides half of the further."""
    far = scene(1, wrong=RIGHT, spoilt=CLEAN)
    near = replace(scene(5, distance=2.5, wrong=RIGHT, spoilt=CLEAN).person, id="h2")
    aside = float(far.person.joints[0, 0] / far.person.joints[0, 2]) + 0.05
    shift = np.float32([aside * near.joints[0, 2] - near.joints[0, 0], 0, 0])
    near = replace(
        near,
        joints=near.joints + shift,
        smplx=replace(near.smplx, transl=near.smplx.transl + shift),
    )
    vertices = BODIES.meshes([near])
    factor = 2.5 / float(near.joints[0, 2])
    seen = visible_surface(factor * vertices, BODIES.faces, CAMERA, 1)
    depth = far.depth.copy()
    depth[seen.row, seen.column] = seen.points[:, 2]
    return [far.person, near], depth


def test_of_two_people_each_has_their_own_distance() -> None:
    persons, depth = two_people()
    for order in (1, -1):
        found = {p.id: p for p in measure(MetricScale(BODIES), persons[::order], depth)}
        assert {p.depth_source for p in found.values()} == {DepthSource.MEASURED}
        assert found["h1"].joints[0, 2] == pytest.approx(4.0, rel=0.01)
        assert found["h2"].joints[0, 2] == pytest.approx(2.5, rel=0.01)


def test_the_surface_is_what_the_camera_sees() -> None:
    persons, _ = two_people()
    vertices = BODIES.meshes(persons)
    alone = visible_surface(vertices[:1], BODIES.faces, CAMERA, 3)
    both = visible_surface(vertices, BODIES.faces, CAMERA, 3)
    pixels = CAMERA.project(both.points)
    np.testing.assert_allclose(pixels, np.column_stack([both.column, both.row]), atol=1e-3)
    assert 0.2 * len(alone.row) < (both.person == 0).sum() < 0.9 * len(alone.row)
    assert (both.person == 1).any()
    # What is seen faces the camera: nearer than the body's middle, and none of it twice.
    assert (alone.points[:, 2] < vertices[0, :, 2].max()).all()
    assert len(np.unique(both.row * CAMERA.width + both.column)) == len(both.row)


def test_points_on_the_rim_are_left_out() -> None:
    vertices = BODIES.meshes([STANDING.person])
    fine = visible_surface(vertices, BODIES.faces, CAMERA, 1)
    covered = np.zeros((CAMERA.height, CAMERA.width), bool)
    covered[fine.row, fine.column] = True
    coarse = visible_surface(vertices, BODIES.faces, CAMERA, 4)
    for down, right in ((0, -3), (0, 3), (-3, 0), (3, 0)):
        assert covered[coarse.row + down, coarse.column + right].mean() > 0.97


def test_depth_around_a_point() -> None:
    depth = np.full((3, 18), np.nan, np.float32)
    depth[:, :3] = 2.0
    depth[1, 1] = 9.0  # an outlier
    depth[1, 4] = 2.0  # without neighbours
    depth[:, 6:9] = 2.0
    depth[1, 7] = np.nan  # a hole
    depth[:, 9:12], depth[:, 12:15] = 2.0, 4.0  # an edge
    depth[1, 15:18], depth[0, 16] = (2.0, 2.0, 4.0), 4.0  # as much of either
    columns = np.array([1, 4, 7, 11, 12, 16])
    rows = np.ones(6, int)
    surface = Surface(0 * rows, rows, columns, np.zeros((6, 3), np.float32))
    np.testing.assert_array_equal(median_depth(depth, surface), [2, np.nan, np.nan, 2, 4, 2])


NEUTRAL = Expected(0.0, 0.12)


def beams(*groups: tuple[int, float], spread: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """Log ratios, so many around each value."""
    rng = np.random.default_rng(0)
    ratios = np.concatenate([rng.normal(value, spread, count) for count, value in groups])
    return rng.permutation(ratios), np.full(len(ratios), spread)


def test_one_group_is_the_answer_however_unlikely() -> None:
    assert fit_log_factor(*beams((200, 0.1)), NEUTRAL) == pytest.approx(0.1, abs=0.005)
    assert fit_log_factor(*beams((200, -0.5)), NEUTRAL) == pytest.approx(-0.5, abs=0.005)


def test_few_or_scattered_beams_say_nothing() -> None:
    assert fit_log_factor(*beams((20, 0.1)), NEUTRAL) is None
    assert fit_log_factor(np.empty(0), np.empty(0), NEUTRAL) is None
    scattered = np.linspace(-0.9, 0.9, 300)
    assert fit_log_factor(scattered, np.full(300, 0.02), NEUTRAL) is None


def test_a_group_of_too_few_says_nothing() -> None:
    ratios, spreads = beams((40, 0.1))
    in_front = np.linspace(-0.9, -0.2, 160)
    assert fit_log_factor(ratios, spreads, NEUTRAL) is not None
    both = np.concatenate([ratios, in_front])
    assert fit_log_factor(both, np.full(200, 0.02), NEUTRAL) is None


def test_what_is_in_front_is_rather_an_occluder_than_what_is_behind_a_hole() -> None:
    ratios, spreads = beams((120, -0.15), (100, 0.15))
    assert fit_log_factor(ratios, spreads, NEUTRAL) == pytest.approx(0.15, abs=0.005)


def test_what_is_expected_decides_between_equals() -> None:
    ratios, spreads = beams((130, -0.3), (88, 0.3))
    assert fit_log_factor(ratios, spreads, Expected(0.3, 0.05)) == pytest.approx(0.3, abs=0.005)
    assert fit_log_factor(ratios, spreads, Expected(-0.3, 0.05)) != pytest.approx(0.3, abs=0.1)


def test_outliers_do_not_pull() -> None:
    ratios, spreads = beams((200, 0.1), (60, -0.1), (40, 0.2), (20, 0.7))
    assert fit_log_factor(ratios, spreads, NEUTRAL) == pytest.approx(0.1, abs=0.01)
