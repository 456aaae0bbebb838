# SPDX-License-Identifier: Apache-2.0
"""Size and distance of people on a floor: known bodies, mistaken floors, and people off it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core.camera import IntrinsicsSource
from pear_ros.core.ground import GroundPlane
from pear_ros.core.people import DepthSource, Person
from pear_ros.scale import floor_contact
from pear_ros.scale.beam_model import LogScalePrior
from pear_ros.scale.floor_contact import FloorScale, PopulationPrior
from pear_ros.scale.metric_scale import MetricScale
from testing.floor_people import CAMERA, FloorScene, FloorStudio
from testing.synthetic_depth import OpenBodyEstimator

BODIES = ScaledBodies(OpenBodyEstimator())
STUDIO = FloorStudio()
KNOWN = LogScalePrior(0.0, 0.03)


def scenes(kind: str = "standing", count: int = 4, **others: object) -> list[FloorScene]:
    rng = np.random.default_rng(5)
    arguments: dict = {"distance": 5.0, **others}
    return [STUDIO.scene(rng, kind, **arguments) for _ in range(count)]


def on(ground: GroundPlane, tilt_std: float = 0.005, height_std: float = 0.01) -> GroundPlane:
    return replace(ground, tilt_std=tilt_std, height_std=height_std)


def placed(scene: FloorScene, **others: object) -> Person:
    arguments = {"body_height": None, "ground": on(scene.ground), **others}
    [person] = MetricScale(BODIES)([scene.person], CAMERA, 0.0, None, **arguments)
    return person


@pytest.mark.parametrize("kind", ["standing", "walking", "crouching", "cross-legged"])
@pytest.mark.parametrize("height", [1.2, 1.85])
def test_floor_gives_the_distance_of_small_and_tall_people(kind: str, height: float) -> None:
    for scene in scenes(kind, 2, height=height):
        person = placed(scene)
        assert person.depth_source is DepthSource.FLOOR
        assert abs(scene.distance_error(person)) < 0.06
        assert abs(scene.distance_error(person)) < 4.0 * person.depth_error / scene.pelvis[2]
        # The image stays as it is.
        assert np.allclose(CAMERA.project(person.joints), scene.person.keypoints, atol=0.1)


def test_error_grows_with_tilt_height_and_distance() -> None:
    [near], [far] = scenes(count=1, distance=3.0), scenes(count=1, distance=8.0)

    def error(scene: FloorScene, tilt: float, height: float) -> float:
        return placed(scene, ground=on(scene.ground, tilt, height)).depth_error / scene.pelvis[2]

    assert error(near, 0.02, 0.01) > error(near, 0.0, 0.01)
    assert error(near, 0.0, 0.1) > error(near, 0.0, 0.01)
    assert error(far, 0.02, 0.01) > error(near, 0.02, 0.01)


def test_who_is_in_mid_air_is_not_put_on_the_floor() -> None:
    for scene in scenes(lift=0.5, height=1.7):
        person = placed(scene)
        assert person.depth_source is DepthSource.ASSUMED
        assert person.scale == 1.0


def test_known_height_reveals_a_step() -> None:
    for scene in scenes(lift=0.25, height=1.7):
        person = placed(scene, body_height=1.7)
        assert person.depth_source is DepthSource.BODY_HEIGHT
        assert abs(scene.distance_error(person)) < 0.06


def test_height_is_learnt_on_the_floor_and_used_off_it() -> None:
    metric = MetricScale(BODIES)
    [scene] = scenes(count=1, height=1.95)
    [jump] = scenes(count=1, height=1.95, lift=0.4)
    for n in range(3):
        metric([scene.person], CAMERA, 0.2 * n, None, None, on(scene.ground))
    [person] = metric([jump.person], CAMERA, 0.8, None, None, on(jump.ground))
    assert person.depth_source is DepthSource.BODY_HEIGHT
    assert abs(jump.distance_error(person)) < 0.08
    [hidden] = metric([scene.person], CAMERA, 1.0, None, None, None)
    assert hidden.depth_source is DepthSource.BODY_HEIGHT


def test_person_out_of_sight_or_above_the_camera_is_left_out() -> None:
    [scene] = scenes(count=1)
    mesh = BODIES.meshes([scene.person])

    def measured(person: Person, ground: GroundPlane) -> FloorScale | None:
        return floor_contact.measure([person], mesh, ground, CAMERA)[0]

    assert measured(scene.person, on(scene.ground)) is not None
    unseen = replace(scene.person, joint_confidence=np.zeros(55, np.float32))
    assert measured(unseen, on(scene.ground)) is None
    untold = replace(scene.person, joint_confidence=np.full(55, np.nan, np.float32))
    assert measured(untold, on(scene.ground)) is not None
    ceiling = replace(on(scene.ground), normal=-scene.ground.normal)
    assert measured(scene.person, replace(ceiling, height=-1.0)) is None
    narrow = replace(CAMERA, height=200)
    assert floor_contact.measure([scene.person], mesh, on(scene.ground), narrow)[0] is None


def test_uncalibrated_camera_gets_no_distance_from_the_floor() -> None:
    [scene] = scenes(count=1)
    camera = replace(CAMERA, source=IntrinsicsSource.FIELD_OF_VIEW)
    [person] = MetricScale(BODIES)([scene.person], camera, 0.0, None, None, on(scene.ground))
    assert person.depth_source is DepthSource.ASSUMED


def test_sources_are_weighted_by_their_precision() -> None:
    found = floor_contact.combine(FloorScale(0.06, 0.03, 1.0), KNOWN)
    assert found.log_scale == pytest.approx(0.03, abs=0.006)
    assert found.std == pytest.approx(0.03 / np.sqrt(2.0), rel=0.15)
    vague = floor_contact.combine(FloorScale(0.06, 0.3, 1.0), KNOWN)
    assert vague.log_scale == pytest.approx(0.0, abs=0.005)


def test_implausible_size_is_evidence_against_contact() -> None:
    contact = [
        floor_contact.combine(FloorScale(z, 0.03, 0.9), KNOWN).contact for z in (0.0, 0.1, 0.3)
    ]
    assert contact[0] > 0.9 > contact[1] > contact[2]
    assert contact[2] < 0.1
    # Nobody is below the floor: a small person is rather a child.
    child = floor_contact.combine(FloorScale(-0.35, 0.03, 0.9), PopulationPrior(np.log(1.7)))
    giant = floor_contact.combine(FloorScale(0.35, 0.03, 0.9), PopulationPrior(np.log(1.7)))
    assert child.contact > 0.8 > 0.2 > giant.contact
