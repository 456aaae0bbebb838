# SPDX-License-Identifier: Apache-2.0
"""Pipeline on the demo clip: people, places, ids."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.core.parameters import Settings
from pear_ros.core.people import DepthSource, Image, People, TrackingState
from pear_ros.core.upright import turned
from pear_ros.estimators.landmark_estimator import LandmarkEstimator
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.pipeline import Pipeline

FIRST, LAST = 50, 65
"""A piece of the clip in which the man waves and the woman walks."""


@pytest.fixture(scope="module")
def frames() -> list[tuple[float, Image]]:
    return [frame for n, frame in enumerate(FrameSource(str(demo_clip()))) if FIRST <= n < LAST]


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline()


@pytest.fixture(scope="module")
def results(pipeline: Pipeline, frames: list[tuple[float, Image]]) -> list[People]:
    pipeline.reset()
    return [pipeline(image, camera_of(image), stamp) for stamp, image in frames]


def camera_of(image: Image) -> Camera:
    return Camera.from_field_of_view(image.shape[1], image.shape[0])


def test_people_keep_their_ids(results: list[People]) -> None:
    ids = [{person.id for person in people.persons} for people in results]
    assert all(len(present) == 2 for present in ids)
    assert set.union(*ids) == ids[0]
    assert {p.state for p in results[0].persons} == {TrackingState.NEW}
    assert {p.state for p in results[-1].persons} == {TrackingState.TRACKED}


def test_results_name_estimator_and_body(results: list[People], pipeline: Pipeline) -> None:
    people = results[0]
    assert people.model_id.startswith("landmarks/")
    assert people.body_model == pipeline.body.name == "anny-smplx/2"
    assert people.camera.source is IntrinsicsSource.FIELD_OF_VIEW
    assert {p.depth_source for p in people.persons} == {DepthSource.ASSUMED}


def test_people_are_where_the_image_shows_them(results: list[People]) -> None:
    for people in results:
        man, woman = sorted(people.persons, key=lambda p: p.keypoints[0, 0])
        assert man.keypoints[15, 1] < woman.keypoints[15, 1] - 200, "he stands on a roof"
        for person in (man, woman):
            assert (person.joints[:, 2] > 2.0).all()
            inside = (person.keypoints[:22] > person.box[:2] - 20) & (
                person.keypoints[:22] < person.box[2:] + 20
            )
            assert inside.mean() > 0.95
            np.testing.assert_allclose(
                people.camera.project(person.joints), person.keypoints, atol=0.01
            )
            assert person.smplx.pose.shape == (55, 3)
            assert np.isfinite(person.smplx.pose).all()


def test_root_orientations_of_both_people(results: list[People], pipeline: Pipeline) -> None:
    for people in results:
        man, woman = sorted(people.persons, key=lambda p: p.keypoints[0, 0])
        facing = [
            pipeline.body.vertices(
                person.smplx.pose[None] * np.eye(55, 1, dtype=np.float32),
                *(np.zeros((1, n), np.float32) for n in (10, 52)),
                np.zeros((1, 3), np.float32),
            )
            for person in (man, woman)
        ]
        # The chest's front minus its back, of bodies that are turned but not posed.
        body = pipeline.body.v_template
        chest = np.abs(body[:, 1] - 0.3) < 0.05
        front, back = chest & (body[:, 2] > 0.1), chest & (body[:, 2] < -0.02)
        man_facing, woman_facing = (
            vertices[0, front].mean(axis=0) - vertices[0, back].mean(axis=0) for vertices in facing
        )
        assert man_facing[2] < -0.8 * np.linalg.norm(man_facing)
        assert woman_facing[0] < -0.8 * np.linalg.norm(woman_facing)


def test_meshes_are_the_bodies(results: list[People], pipeline: Pipeline) -> None:
    people = results[-1]
    meshes = pipeline.meshes(people)
    assert meshes.shape == (2, pipeline.body.vertex_count, 3)
    for person, mesh in zip(people.persons, meshes, strict=True):
        regressed = pipeline.body.joint_regressor @ mesh
        off = np.linalg.norm(regressed[:22] - person.joints[:22], axis=1)
        assert off.max() < 0.08, "metres; regressed from a posed mesh, so not exact"
    empty = dataclasses.replace(people, persons=())
    assert pipeline.meshes(empty).shape == (0, pipeline.body.vertex_count, 3)


def test_empty_scene_has_no_people(pipeline: Pipeline) -> None:
    pipeline.reset()
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (360, 480, 3)).astype(np.uint8)
    for image in (np.zeros((360, 480, 3), np.uint8), noise):
        assert pipeline(image, camera_of(image)).persons == ()


def test_image_smaller_than_any_person(pipeline: Pipeline) -> None:
    pipeline.reset()
    image = np.full((3, 5, 3), 128, np.uint8)
    assert pipeline(image, camera_of(image)).persons == ()


def test_images_of_changing_size(pipeline: Pipeline, frames: list[tuple[float, Image]]) -> None:
    pipeline.reset()
    stamp, image = frames[0]
    assert len(pipeline(image, camera_of(image), stamp).persons) == 2
    half = np.ascontiguousarray(image[::2, ::2])
    pipeline(half, camera_of(half), stamp + 0.1)
    pipeline.reset()
    assert len(pipeline(half, camera_of(half), stamp + 0.2).persons) == 2


def test_occluded_person_keeps_the_id(
    pipeline: Pipeline, frames: list[tuple[float, Image]]
) -> None:
    """In slow motion, something moves before the man, and away again."""
    pipeline.reset()
    camera = camera_of(frames[0][1])
    images = [image for _, image in frames]
    stamps = iter(0.1 * np.arange(100))

    def watched(images: list[Image]) -> list[dict[str, TrackingState]]:
        results = [pipeline(image, camera, float(next(stamps))) for image in images]
        return [{person.id: person.state for person in people.persons} for people in results]

    watched(images)
    man, woman = sorted(
        pipeline(images[-1], camera, float(next(stamps))).persons, key=lambda p: p.keypoints[0, 0]
    )
    left, top, right, bottom = man.box.astype(int)
    hidden = images[-1].copy()
    hidden[max(top - 40, 0) : bottom + 20, max(left - 40, 0) : right + 40] = 90
    behind = {man.id: TrackingState.PREDICTED, woman.id: TrackingState.TRACKED}
    assert watched([hidden] * 10) == [behind] * 10
    assert watched(images)[-1] == dict.fromkeys(behind, TrackingState.TRACKED)


class Failing:
    """The open default; it raises while `fault` is set, after it has worked on the image."""

    def __init__(self) -> None:
        self._estimator = LandmarkEstimator()
        self.fault: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._estimator, name)

    def estimate(self, *arguments: Any) -> Any:
        estimates = self._estimator.estimate(*arguments)
        if self.fault:
            raise self.fault
        return estimates


def test_tracks_continue_after_an_image_for_which_the_estimator_raised(
    frames: list[tuple[float, Image]],
) -> None:
    estimator = Failing()
    pipeline = Pipeline(estimator)  # type: ignore[arg-type]
    estimator.fault = RuntimeError("before the first person")
    stamp, image = frames[0]
    with pytest.raises(RuntimeError):
        pipeline(image, camera_of(image), stamp)
    states: list[dict[str, TrackingState]] = []
    for n, (stamp, image) in enumerate(frames[1:]):
        estimator.fault = RuntimeError("in between") if n in (4, 5) else None
        if estimator.fault:
            with pytest.raises(RuntimeError, match="in between"):
                pipeline(image, camera_of(image), stamp)
            continue
        people = pipeline(image, camera_of(image), stamp).persons
        states.append({person.id: person.state for person in people})
    pipeline.close()
    assert len(states[0]) == 2 and set(states[0].values()) == {TrackingState.NEW}
    assert states[1:] == [dict.fromkeys(states[0], TrackingState.TRACKED)] * (len(states) - 1)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_people_of_a_turned_camera_are_in_its_own_frame(
    pipeline: Pipeline, frames: list[tuple[float, Image]], degrees: int
) -> None:
    """The camera was turned against the clock; its pipeline turns the images back."""
    pipeline.reset()
    stamp, image = frames[0]
    camera = camera_of(image)
    upright = pipeline(image, camera, stamp)
    tilted = turned(image, 360 - degrees)
    settings = dataclasses.replace(Settings(), rotate=degrees)
    people = pipeline(tilted, camera_of(tilted), stamp, settings=settings)
    pipeline(image, camera, stamp)  # resets, for the tests that follow
    assert people.camera == camera_of(tilted)
    assert len(people.persons) == len(upright.persons) == 2
    for one, same in zip(people.persons, upright.persons, strict=True):
        x, y, z = same.joints.T
        for _ in range((360 - degrees) // 90):
            x, y = -y, x
        np.testing.assert_allclose(one.joints, np.column_stack([x, y, z]), atol=1e-4)
        np.testing.assert_allclose(people.camera.project(one.joints), one.keypoints, atol=0.01)
    np.testing.assert_allclose(
        pipeline.meshes(people)[..., 2], pipeline.meshes(upright)[..., 2], atol=1e-3
    )


def test_people_who_return_keep_their_ids_where_asked_for(
    frames: list[tuple[float, Image]],
) -> None:
    black = np.zeros_like(frames[0][1])
    images = [*((image, 0.0) for _, image in frames[:8]), *((black, 2.0) for _ in range(2))]
    images += [(image, 10.0) for _, image in frames[8:12]]
    pipeline = Pipeline(reidentify_seconds=60.0)
    shown = [
        pipeline(image, camera_of(image), 0.1 * n + away) for n, (image, away) in enumerate(images)
    ]
    before, after = (
        [p.id for p in sorted(people.persons, key=lambda p: p.keypoints[0, 0])]
        for people in (shown[7], shown[-1])
    )
    assert len(before) == len(after) == 2
    # Both are sure to get no id of the other, and one has looks that are sure at once.
    assert set(after) & set(before)
    for old, new, other in zip(before, after, reversed(before), strict=True):
        assert new == old or new not in (old, other)
    assert "reidentification" not in pipeline.state(), "what is written of a replay"
    pipeline.reset()
    again = pipeline(frames[12][1], camera_of(black), 0.0)
    assert not set(before) & {person.id for person in again.persons}
    pipeline.close()


def test_contact_of_feet_is_told_if_asked_for(
    results: list[People], frames: list[tuple[float, Image]]
) -> None:
    assert all(np.isnan(p.foot_contact).all() for people in results for p in people.persons)
    pipeline, settings = Pipeline(), Settings(foot_contact=True)
    for stamp, image in frames:
        people = pipeline(image, camera_of(image), stamp, settings=settings)
    for person in people.persons:
        assert (np.isfinite(person.foot_contact) & (person.foot_contact >= 0.0)).any()


@pytest.mark.parametrize(
    ("image", "camera", "reason"),
    [
        (None, (64, 48, 50, 50, 32, 24), "has to be .* not NoneType"),
        (np.zeros((48, 64), np.uint8), (64, 48, 50, 50, 32, 24), r"not \(48, 64\) uint8"),
        (np.zeros((48, 64, 4), np.uint8), (64, 48, 50, 50, 32, 24), r"not \(48, 64, 4\) uint8"),
        (np.zeros((48, 64, 3)), (64, 48, 50, 50, 32, 24), r"not \(48, 64, 3\) float64"),
        (np.zeros((0, 64, 3), np.uint8), (64, 0, 50, 50, 32, 24), r"not \(0, 64, 3\) uint8"),
        (np.zeros((48, 64, 3), np.uint8), (64, 48, np.nan, 50, 32, 24), "fx nan.*field_of_view"),
        (np.zeros((48, 64, 3), np.uint8), (64, 48, 50, 50, np.inf, 24), "cx inf.*field_of_view"),
        (np.zeros((48, 64, 3), np.uint8), (64, 48, 0, 0, 32, 24), "fx 0.*field_of_view"),
        (np.zeros((48, 64, 3), np.uint8), (48, 64, 50, 50, 32, 24), "of 48 x 64 .* 64 x 48: scale"),
    ],
)
def test_images_and_cameras_of_no_use_are_refused(
    pipeline: Pipeline, image: Any, camera: tuple[Any, ...], reason: str
) -> None:
    """Instead of nobody being found, or people in wrong places."""
    with pytest.raises(ValueError, match=reason):
        pipeline(image, Camera(*camera))


def test_a_stamp_that_is_no_time_is_refused(
    pipeline: Pipeline, frames: list[tuple[float, Image]]
) -> None:
    """Instead of all people being lost in NaN from then on."""
    pipeline.reset()
    for stamp, image in frames[:2]:
        pipeline(image, camera_of(image), stamp)
    stamp, image = frames[2]
    with pytest.raises(ValueError, match=r"stamp of an image .* not nan"):
        pipeline(image, camera_of(image), float("nan"))
    people = pipeline(image, camera_of(image), stamp).persons
    assert people and all(np.isfinite(person.smplx.transl).all() for person in people)
