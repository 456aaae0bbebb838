# SPDX-License-Identifier: Apache-2.0
"""Tracks and filter states of a camera that turns: people who stand still stay in their place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from pear_ros.core.estimator import Detection
from pear_ros.core.moving import moved
from pear_ros.core.people import Estimate, Person, TrackingState
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.tracking import Tracker
from testing.open_people import CAMERA, person, t_pose

TURN = np.radians(3.0)
"""Turn of the camera from image to image: the person moves by a quarter of their width."""


def pose_at(image: int) -> RigidTransform:
    """Pose of the camera in the fixed frame: it turns and drives."""
    turn = Rotation.from_euler("y", TURN * image).as_matrix()
    return RigidTransform(turn, np.array([0.05 * image, 0.0, 0.0]))


def seen(image: int, x: float = 0.0) -> Person:
    """A person who stands still in the fixed frame, as seen in an image."""
    one = moved(person(t_pose(), (x, 0.0, 5.0)), pose_at(image).inverse())
    keypoints = CAMERA.project(one.joints)
    box = np.concatenate([keypoints.min(axis=0), keypoints.max(axis=0)])
    return replace(one, keypoints=keypoints, box=box)


def estimate(one: Person) -> Estimate:
    names = Estimate.__dataclass_fields__
    return Estimate(**{name: getattr(one, name) for name in names})


def run(poses: bool) -> tuple[Person, Person]:
    """The person as predicted in the image after six with them, and as they truly are there."""
    tracker, last = Tracker(), 7
    for image in range(last + 1):
        if poses and image:
            tracker.move(pose_at(image).inverse() @ pose_at(image - 1))
        one = seen(image)
        found = [Detection(one.box, 0.9)] if image < last else []
        plan = tracker.predict(found, image / 10.0)
        people = tracker.update(
            plan, [estimate(one) if found else None for _ in plan.regions], CAMERA
        )
    return people[0], seen(last)


def test_prediction_of_a_person_at_rest_follows_the_camera() -> None:
    predicted, true = run(poses=True)
    assert predicted.id == "h1"
    assert predicted.state is TrackingState.PREDICTED
    assert np.linalg.norm(predicted.joints[0] - true.joints[0]) < 0.05
    assert np.abs(predicted.box - true.box).max() < 15.0
    assert np.abs(predicted.smplx.pose[0] - true.smplx.pose[0]).max() < 0.05
    # Only the pose tells where the person is.
    without, _ = run(poses=False)
    errors = [np.linalg.norm(one.joints[0] - true.joints[0]) for one in (predicted, without)]
    assert errors[1] > 3.0 * errors[0]


def test_tracks_without_images_cannot_move() -> None:
    tracker = Tracker()
    tracker.move(pose_at(1))
    assert tracker.count == 0
