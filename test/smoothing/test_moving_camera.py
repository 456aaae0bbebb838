# SPDX-License-Identifier: Apache-2.0
"""Smoothing with a camera that moves: the same as in the fixed frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pear_ros.body.scaled_bodies import ScaledBodies
from pear_ros.core.moving import moved
from pear_ros.core.people import Person
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.smoothing import person_states
from pear_ros.smoothing.measurements import Measurements
from pear_ros.smoothing.smoother import Smoother
from testing.open_people import CAMERA, person, t_pose
from testing.synthetic_depth import OpenBodyEstimator

RATE = 30.0


def pose_at(image: int) -> RigidTransform:
    """Pose of a camera that turns to and fro by 15 degrees and drives."""
    turn = Rotation.from_euler("y", 15.0 * np.sin(0.2 * image), degrees=True).as_matrix()
    return RigidTransform(turn, np.array([0.01 * image, 0.0, 0.0]))


def run(poses: bool) -> np.ndarray:
    """Pelvis (T, 3) in the fixed frame, of a person who stands still there."""
    smooth = Smoother(ScaledBodies(OpenBodyEstimator()))  # type: ignore[arg-type]
    places = []
    for image in range(60):
        if poses and image:
            smooth.move(pose_at(image).inverse() @ pose_at(image - 1))
        one = moved(person(t_pose(), (0.3, 0.0, 4.0)), pose_at(image).inverse())
        [found] = smooth([one], CAMERA, image / RATE)
        places.append(moved(found, pose_at(image)).joints[0])
    return np.array(places)


def test_person_at_rest_rests_before_a_camera_that_turns() -> None:
    still, swinging = run(poses=True), run(poses=False)
    assert np.ptp(still, axis=0).max() < 1e-3
    assert np.ptp(swinging, axis=0).max() > 0.02


def state(one: Person, next_one: Person) -> person_states.PersonStates:
    first, second = (Measurements.from_persons([each]) for each in (one, next_one))
    return person_states.update(person_states.initialise(first, 0.0), second, 0.1)


def test_states_predict_the_same_motion_in_another_frame() -> None:
    """To move states and to predict them is to predict and to move them."""
    transform = RigidTransform(
        Rotation.from_euler("xyz", (0.1, 0.4, -0.1)).as_matrix(), np.array([0.2, 0.1, -0.3])
    )
    walking = [person(t_pose(), (x, 0.0, 4.0 + x)) for x in (0.0, 0.1, 0.2)]
    here = state(walking[0], walking[1])
    there = person_states.moved(here, transform)
    assert np.allclose(there.pelvis, transform.apply(here.pelvis))

    after = person_states.update(here, Measurements.from_persons([walking[2]]), 0.2)
    moved_measurement = Measurements.from_persons([moved(walking[2], transform)])
    after_there = person_states.update(there, moved_measurement, 0.2)
    # Covariances turn with the line of sight, so that the weights differ a little.
    assert after_there.pelvis == pytest.approx(transform.apply(after.pelvis), abs=0.02)


def test_states_of_people_behind_the_camera_are_dropped() -> None:
    smooth = Smoother(ScaledBodies(OpenBodyEstimator()))  # type: ignore[arg-type]
    smooth([person(t_pose()), replace(person(t_pose(), (2.0, 0.0, 4.0)), id="h2")], CAMERA, 0.0)
    turned = RigidTransform(Rotation.from_euler("y", 2.0).as_matrix(), np.zeros(3))
    smooth.move(turned)
    assert not smooth._states
