# SPDX-License-Identifier: Apache-2.0
"""Metric scale on rendered depth images of known scenes."""

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
from pear_ros.core.ground import GroundPlane
from pear_ros.core.people import Array, DepthSource, Person, TrackingState
from pear_ros.scale.metric_scale import MetricScale
from pear_ros.scale.visible_surface import SurfacePoints, median_depth, visible_surface
from testing.synthetic_depth import (
    CAMERA,
    DepthErrors,
    EstimateErrors,
    OpenBodyEstimator,
    Scene,
    SceneRenderer,
)

ESTIMATOR = OpenBodyEstimator()
BODIES = ScaledBodies(ESTIMATOR)
RENDERER = SceneRenderer(ESTIMATOR)
SMALL_ERRORS = EstimateErrors(degrees=1.5, betas=0.3, pixels=1.0)
EXACT = EstimateErrors(0.0, 0.0, 0.0)
CLEAN = DepthErrors(0.0, 0.0, 0.0)
NO_DEPTH = np.full((CAMERA.height, CAMERA.width), np.nan, np.float32)
UNCALIBRATED = replace(CAMERA, source=IntrinsicsSource.FIELD_OF_VIEW)


def scene(seed: int = 0, occluder: str = "nothing", cover: float = 0.0, **others: object) -> Scene:
    """A person at 4 m who is 1.9 m tall, taller than estimated."""
    arguments: dict[str, object] = {
        "distance": 4.0,
        "height": 1.9,
        "estimate_errors": SMALL_ERRORS,
        **others,
    }
    return RENDERER.scene(
        np.random.default_rng(seed), "standing", occluder=occluder, cover=cover, **arguments
    )


STANDING = scene(1, estimate_errors=EXACT, depth_errors=CLEAN)


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


def distance_error(person: Person, case: Scene) -> float:
    return abs(float(person.joints[0, 2]) / case.distance - 1.0)


def height(person: Person) -> float:
    return float(BODIES.heights([person])[0])


@pytest.mark.parametrize("occluder", ["nothing", "board", "table", "person"])
def test_metric_scale_measures_distance_with_occluders_and_noise(occluder: str) -> None:
    errors = []
    for seed in range(5):
        case = scene(seed, occluder, 0.08 * seed, height=(1.4, 1.6, 1.75, 1.9, 2.0)[seed])
        [person] = measure(MetricScale(BODIES), case.person, case.depth)
        assert person.depth_source is DepthSource.MEASURED
        errors.append(distance_error(person, case))
    assert max(errors) < 0.02
    assert np.median(errors) < 0.01


def test_metric_scale_is_exact_for_a_right_estimate() -> None:
    [person] = measure(MetricScale(BODIES), STANDING.person, STANDING.depth)
    assert distance_error(person, STANDING) < 0.001
    assert height(person) == pytest.approx(1.9, rel=0.002)


def test_metric_scale_with_lens_distortion() -> None:
    lens = replace(CAMERA, distortion=Distortion("plumb_bob", (-0.3, 0.1, 0.001, -0.001, 0.0)))
    for seed in range(3):
        case = scene(seed, camera=lens, distance=2.5, depth_errors=CLEAN, estimate_errors=EXACT)
        [person] = measure(MetricScale(BODIES), case.person, case.depth, lens)
        assert distance_error(person, case) < 0.002


def test_metric_scale_leaves_the_projection_unchanged() -> None:
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
def test_metric_scale_is_proportional_to_depth(factor: float, seed: int) -> None:
    case = scene(seed, "table", 0.3, height=1.7)
    [once] = measure(MetricScale(BODIES), case.person, case.depth)
    [times] = measure(MetricScale(BODIES), case.person, case.depth * np.float32(factor))
    assert times.depth_source is DepthSource.MEASURED
    assert times.joints[0, 2] / once.joints[0, 2] == pytest.approx(factor, rel=0.005)


class CountedBodies(ScaledBodies):
    """Bodies that record the number of meshes of each call."""

    def __init__(self) -> None:
        super().__init__(ESTIMATOR)
        self.calls: list[int] = []

    def meshes(self, persons: Sequence[Person]) -> Array:
        self.calls.append(len(persons))
        return super().meshes(persons)


def test_every_source_tells_its_error() -> None:
    def relative_error(person: Person) -> float:
        return person.depth_error / float(np.linalg.norm(person.joints[0]))

    [assumed] = measure(MetricScale(BODIES), STANDING.person, None)
    [guessed] = measure(MetricScale(BODIES), STANDING.person, None, UNCALIBRATED)
    [known] = measure(MetricScale(BODIES), STANDING.person, None, body_height=1.9)
    [measured] = measure(MetricScale(BODIES), STANDING.person, STANDING.depth)
    errors = [relative_error(one) for one in (measured, known, assumed, guessed)]
    assert errors == sorted(errors)
    assert 0.0 < errors[0] < errors[1] < 0.05 < errors[2] < 0.2 < errors[3]


def test_depth_image_has_precedence_over_the_floor() -> None:
    # A floor on which the person would be nearer by some percent.
    lowest = float(BODIES.meshes([STANDING.person])[0, :, 1].max())
    factor = STANDING.distance / float(STANDING.person.joints[0, 2])
    ground = GroundPlane.from_tilt(0.95 * factor * lowest, 0.0, 0.02, 0.05)
    [person] = MetricScale(BODIES)([STANDING.person], CAMERA, 0.0, STANDING.depth, None, ground)
    assert person.depth_source is DepthSource.MEASURED
    assert distance_error(person, STANDING) < 0.02


def test_metric_scale_computes_meshes_only_with_depth() -> None:
    bodies = CountedBodies()
    metric = MetricScale(bodies)
    [same] = measure(metric, STANDING.person, None)
    assert same.joints is STANDING.person.joints
    measure(metric, [], STANDING.depth)
    measure(metric, STANDING.person, None, body_height=1.7)
    assert bodies.calls == []
    two = [STANDING.person, replace(STANDING.person, id="h2")]
    measure(metric, two, STANDING.depth)
    assert bodies.calls == [2]


@pytest.mark.parametrize("value", [np.nan, 0.0, np.inf, -1.0])
def test_metric_scale_without_valid_depth(value: float) -> None:
    [person] = measure(MetricScale(BODIES), STANDING.person, np.full_like(NO_DEPTH, value))
    assert person.depth_source is DepthSource.ASSUMED
    assert person.scale == 1.0


def test_metric_scale_of_an_empty_image() -> None:
    nowhere = replace(CAMERA, width=0, height=0)
    [person] = measure(MetricScale(BODIES), STANDING.person, np.empty((0, 0), np.float32), nowhere)
    assert person.depth_source is DepthSource.ASSUMED


def test_metric_scale_refuses_depth_of_another_size() -> None:
    with pytest.raises(ValueError, match="320 x 240 pixels and the image 640 x 480"):
        measure(MetricScale(BODIES), STANDING.person, NO_DEPTH[::2, ::2])


def test_metric_scale_does_not_measure_people_outside_the_image() -> None:
    smplx = STANDING.person.smplx
    for transl in (smplx.transl + 50.0, -smplx.transl, smplx.transl * np.float32(np.nan)):
        moved = replace(
            STANDING.person,
            smplx=replace(smplx, transl=transl),
            joints=STANDING.person.joints - smplx.transl + transl,
        )
        [person] = measure(MetricScale(BODIES), moved, STANDING.depth)
        assert person.depth_source is DepthSource.ASSUMED


def test_metric_scale_does_not_measure_a_wall() -> None:
    # At these distances a person of this apparent size would be 19 m or 0.24 m tall.
    for wall in (0.5, 40.0):
        depth = np.full_like(NO_DEPTH, wall)
        [person] = measure(MetricScale(BODIES), STANDING.person, depth)
        assert person.depth_source is DepthSource.ASSUMED


def test_metric_scale_uses_a_measured_height_without_depth() -> None:
    metric = MetricScale(BODIES)
    [measured] = measure(metric, STANDING.person, STANDING.depth)
    later = scene(7, distance=6.0, height=1.9, estimate_errors=EXACT)
    for depth in (None, NO_DEPTH):
        [person] = measure(metric, later.person, depth, stamp=1.0)
        assert person.depth_source is DepthSource.BODY_HEIGHT
        assert height(person) == pytest.approx(height(measured), rel=1e-5)
        assert distance_error(person, later) < 0.01
    [stranger] = measure(metric, replace(later.person, id="h2"), None, stamp=1.0)
    assert stranger.depth_source is DepthSource.ASSUMED
    assert stranger.scale == 1.0


def test_height_is_the_median_of_many_images() -> None:
    metric = MetricScale(BODIES)
    for image, factor in enumerate([1.0] * 12 + [1.2]):
        [person] = measure(
            metric, STANDING.person, STANDING.depth * np.float32(factor), stamp=image / 10
        )
        assert person.joints[0, 2] == pytest.approx(4.0 * factor, rel=0.005), "measured directly"
    [person] = measure(metric, STANDING.person, None, stamp=2.0)
    assert height(person) == pytest.approx(1.9, rel=0.01)


def test_height_recovers_from_wrong_measurements() -> None:
    metric = MetricScale(BODIES)
    for image in range(33):
        factor = np.float32(0.75 if image < 3 else 1.0)
        measure(metric, STANDING.person, STANDING.depth * factor, stamp=image / 10)
    [person] = measure(metric, STANDING.person, None, stamp=4.0)
    assert height(person) == pytest.approx(1.9, rel=0.03)


def test_known_height_resolves_an_ambiguous_occluder() -> None:
    case = scene(2, "board", 0.5, height=1.7)
    depth = np.where(case.depth < 3.5, np.float32(3.2), case.depth)
    metric = MetricScale(BODIES)
    [person] = measure(metric, case.person, depth)
    assert person.depth_source is DepthSource.ASSUMED, "ambiguous"
    free = scene(4, height=1.7)
    measure(metric, free.person, free.depth)
    [person] = measure(metric, case.person, depth)
    assert person.depth_source is DepthSource.MEASURED
    assert distance_error(person, case) < 0.01


def test_prior_is_of_the_true_height_not_the_estimated_one() -> None:
    case = scene(0, "board", 0.6, height=2.05)
    depth = np.where(case.depth < 3.5, np.float32(3.2), case.depth)
    metric = MetricScale(BODIES)
    free = scene(4, height=2.05)
    measure(metric, free.person, free.depth)
    [person] = measure(metric, case.person, depth)
    assert person.depth_source is DepthSource.MEASURED
    assert distance_error(person, case) < 0.01


def test_height_uses_one_measurement_per_interval() -> None:
    metric = MetricScale(BODIES)
    for image in range(9):
        factor = np.float32(1.1 if image > 3 else 1.0)
        measure(metric, STANDING.person, STANDING.depth * factor, stamp=1.0 + 0.01 * image)
    [person] = measure(metric, STANDING.person, None, stamp=2.0)
    assert height(person) == pytest.approx(1.9, rel=0.005)


def test_body_height_determines_the_scale() -> None:
    metric = MetricScale(BODIES)
    [person] = measure(metric, STANDING.person, None, body_height=1.9)
    assert person.depth_source is DepthSource.BODY_HEIGHT
    assert height(person) == pytest.approx(1.9, rel=1e-5)
    assert distance_error(person, STANDING) < 0.01
    [person] = measure(metric, STANDING.person, None, UNCALIBRATED, body_height=1.9)
    assert person.depth_source is DepthSource.ASSUMED, "the field of view is a guess"
    assert height(person) == pytest.approx(1.9, rel=1e-5)


def test_measured_height_has_precedence_over_body_height() -> None:
    metric = MetricScale(BODIES)
    [person] = measure(metric, STANDING.person, STANDING.depth, body_height=1.6)
    assert person.depth_source is DepthSource.MEASURED
    assert height(person) == pytest.approx(1.9, rel=0.005)
    [person] = measure(metric, STANDING.person, None, body_height=1.6)
    assert person.depth_source is DepthSource.BODY_HEIGHT
    assert height(person) == pytest.approx(1.9, rel=0.005)


def test_metric_scale_measures_with_a_wrong_field_of_view() -> None:
    # Twice the focal length: from the same picture, people are estimated twice as far away.
    wide = replace(UNCALIBRATED, fx=2 * CAMERA.fx, fy=2 * CAMERA.fy)
    far = scene(1, estimate_errors=EXACT, depth_errors=CLEAN, camera=wide, distance=8.0)
    [person] = measure(MetricScale(BODIES), far.person, far.depth / 2, wide)
    assert person.depth_source is DepthSource.MEASURED
    assert person.joints[0, 2] == pytest.approx(4.0, rel=0.01)


@pytest.mark.parametrize("state", [TrackingState.PREDICTED, TrackingState.LOST])
def test_metric_scale_does_not_measure_predicted_people(state: TrackingState) -> None:
    metric = MetricScale(BODIES)
    guessed = replace(STANDING.person, state=state)
    [person] = measure(metric, guessed, STANDING.depth)
    assert person.depth_source is DepthSource.ASSUMED
    [measured] = measure(metric, STANDING.person, STANDING.depth)
    [person] = measure(metric, guessed, STANDING.depth * np.float32(1.1))
    assert person.depth_source is DepthSource.BODY_HEIGHT
    assert person.scale == pytest.approx(measured.scale, rel=1e-5)


def test_height_is_dropped_with_a_lost_track() -> None:
    def learnt(person: Person) -> bool:
        return measure(metric, person, None)[0].depth_source is DepthSource.BODY_HEIGHT

    metric = MetricScale(BODIES)
    lost = replace(STANDING.person, state=TrackingState.LOST)
    measure(metric, STANDING.person, STANDING.depth)
    assert learnt(lost), "for the last time"
    assert not learnt(STANDING.person)
    measure(metric, STANDING.person, STANDING.depth)
    measure(metric, [], None)
    assert not learnt(STANDING.person), "was not among them"
    measure(metric, STANDING.person, STANDING.depth)
    metric.reset()
    assert not learnt(STANDING.person)


def two_people() -> tuple[list[Person], Array]:
    """A person at 2.5 m hides half of another one at 4 m; both are tall."""
    far = scene(1, estimate_errors=EXACT, depth_errors=CLEAN)
    near = replace(
        scene(5, distance=2.5, estimate_errors=EXACT, depth_errors=CLEAN).person, id="h2"
    )
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


def test_metric_scale_measures_two_people_separately() -> None:
    persons, depth = two_people()
    for order in (1, -1):
        found = {p.id: p for p in measure(MetricScale(BODIES), persons[::order], depth)}
        assert {p.depth_source for p in found.values()} == {DepthSource.MEASURED}
        assert found["h1"].joints[0, 2] == pytest.approx(4.0, rel=0.01)
        assert found["h2"].joints[0, 2] == pytest.approx(2.5, rel=0.01)


def test_visible_surface_projects_to_its_pixels_and_hides_occluded_points() -> None:
    persons, _ = two_people()
    vertices = BODIES.meshes(persons)
    alone = visible_surface(vertices[:1], BODIES.faces, CAMERA, 3)
    both = visible_surface(vertices, BODIES.faces, CAMERA, 3)
    pixels = CAMERA.project(both.points)
    np.testing.assert_allclose(pixels, np.column_stack([both.column, both.row]), atol=1e-3)
    assert 0.2 * len(alone.row) < (both.person == 0).sum() < 0.9 * len(alone.row)
    assert (both.person == 1).any()
    # Visible points face the camera, and no pixel has two of them.
    assert (alone.points[:, 2] < vertices[0, :, 2].max()).all()
    assert len(np.unique(both.row * CAMERA.width + both.column)) == len(both.row)


def test_visible_surface_leaves_out_the_outline() -> None:
    vertices = BODIES.meshes([STANDING.person])
    fine = visible_surface(vertices, BODIES.faces, CAMERA, 1)
    covered = np.zeros((CAMERA.height, CAMERA.width), bool)
    covered[fine.row, fine.column] = True
    coarse = visible_surface(vertices, BODIES.faces, CAMERA, 4)
    for down, right in ((0, -3), (0, 3), (-3, 0), (3, 0)):
        assert covered[coarse.row + down, coarse.column + right].mean() > 0.97


def test_median_depth() -> None:
    depth = np.full((3, 18), np.nan, np.float32)
    depth[:, :3] = 2.0
    depth[1, 1] = 9.0  # an outlier
    depth[1, 4] = 2.0  # without neighbours
    depth[:, 6:9] = 2.0
    depth[1, 7] = np.nan  # a hole
    depth[:, 9:12], depth[:, 12:15] = 2.0, 4.0  # an edge
    depth[1, 15:18], depth[0, 16] = (2.0, 2.0, 4.0), 4.0  # two values on each side
    columns = np.array([1, 4, 7, 11, 12, 16])
    rows = np.ones(6, int)
    surface = SurfacePoints(0 * rows, rows, columns, np.zeros((6, 3), np.float32), 0 * rows)
    np.testing.assert_array_equal(median_depth(depth, surface), [2, np.nan, np.nan, 2, 4, 2])
