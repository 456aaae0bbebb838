# SPDX-License-Identifier: Apache-2.0
"""The floor as a plane in the camera's frame, and people and cameras in other frames."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pear_ros.core.camera import Camera
from pear_ros.core.camera_motion import CameraMotion
from pear_ros.core.ground import GroundPlane
from pear_ros.core.moving import moved
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.core.upright import Turn
from testing.open_people import open_body, person, t_pose

LOOKING_AHEAD = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""From optical axes to those of a robot: x forward, y left, z up."""


def pose(yaw: float = 0.0, x: float = 0.0) -> RigidTransform:
    turn = Rotation.from_euler("z", yaw, degrees=True).as_matrix()
    return RigidTransform(turn @ LOOKING_AHEAD, np.array([x, 0.0, 1.2]))


def test_ground_of_a_pose_is_z_zero() -> None:
    where = pose(yaw=40.0, x=3.0)
    ground = GroundPlane.from_pose(where, 0.01, 0.02)
    on_floor = np.array([[5.0, 2.0, 0.0], [1.0, -3.0, 0.0]])
    assert ground.height == pytest.approx(1.2)
    assert np.allclose(ground.below(where.inverse().apply(on_floor)), 1.2)


def test_ground_of_a_tilt_is_ahead_and_below() -> None:
    tilt = np.radians(30.0)
    ground = GroundPlane.from_tilt(1.0, tilt, 0.0, 0.0)
    # The optical axis meets the floor at height / sin(tilt).
    assert ground.below(np.array([0.0, 0.0, 1.0 / np.sin(tilt)])) == pytest.approx(1.0)


def test_ground_is_seen_unless_the_camera_looks_up() -> None:
    camera = Camera.from_field_of_view(640, 480, 60.0)
    assert GroundPlane.from_tilt(1.0, 0.0, 0.0, 0.0).is_seen_by(camera)
    assert not GroundPlane.from_tilt(1.0, np.radians(-40.0), 0.0, 0.0).is_seen_by(camera)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_ground_and_pose_turn_with_the_image(degrees: int) -> None:
    camera = Camera(640, 480, 500.0, 500.0, 319.5, 239.5)
    turn = Turn(degrees, camera)
    ground = GroundPlane.from_tilt(1.0, 0.2, 0.0, 0.0)
    point = np.array([0.3, 0.5, 3.0])
    # The same point by its pixel in the turned image.
    upright = np.append(turn.camera.rays(turn._pixels(camera.project(point))), 1.0) * point[2]
    assert turn.ground(ground).below(upright) == pytest.approx(ground.below(point), abs=1e-5)
    assert np.allclose(turn.ground_back(turn.ground(ground)).normal, ground.normal)
    assert np.allclose(turn.pose(pose()).apply(upright), pose().apply(point), atol=1e-5)


def test_moved_person_has_the_mesh_of_the_moved_points() -> None:
    transform = RigidTransform(
        Rotation.from_euler("xyz", (0.2, 0.7, -0.3)).as_matrix(), np.array([1.0, -2.0, 0.5])
    )
    one = person(t_pose(left_elbow=(0.0, 0.8, 0.0)))
    two = moved(one, transform)

    def mesh(who: object) -> np.ndarray:
        smplx = who.smplx  # type: ignore[attr-defined]
        return open_body().vertices(
            smplx.pose[None], smplx.betas[None], smplx.expression[None], smplx.transl[None]
        )[0]

    assert np.allclose(mesh(two), transform.apply(mesh(one)), atol=1e-4)
    assert np.allclose(two.joints, transform.apply(one.joints), atol=1e-5)
    assert np.array_equal(two.keypoints, one.keypoints)


def test_camera_motion_is_from_the_last_frame_to_this_one() -> None:
    motion = CameraMotion()
    assert motion(pose(), 0.0) is None
    found = motion(pose(yaw=5.0, x=0.1), 0.1)
    assert found is not None
    in_fixed_frame = np.array([4.0, 1.0, 0.8])
    before = pose().inverse().apply(in_fixed_frame)
    after = pose(yaw=5.0, x=0.1).inverse().apply(in_fixed_frame)
    assert np.allclose(found.apply(before), after)


def test_jumps_and_gaps_of_the_pose_are_no_motion() -> None:
    motion = CameraMotion()
    motion(pose(), 0.0)
    assert motion(pose(x=2.0), 0.1) is None
    assert motion(pose(yaw=120.0, x=2.0), 0.2) is None
    assert motion(pose(yaw=121.0, x=2.0), 0.3) is not None
    assert motion(None, 0.4) is None
    assert motion(pose(yaw=121.0, x=2.0), 0.5) is None
    assert motion(pose(yaw=121.0, x=2.0), 9.0) is None
    motion.reset()
    assert motion(pose(), 9.1) is None
