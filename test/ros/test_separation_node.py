# SPDX-License-Identifier: Apache-2.0
"""The node that publishes how near people are, over real DDS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from geometry_msgs.msg import TransformStamped
from visualization_msgs.msg import Marker, MarkerArray

from pear_msgs.msg import SeparationArray
from pear_ros.core.people import Person, TrackingState
from pear_ros.hri.body_parts import Float64
from pear_ros.hri.capsule_mesh import FACES
from pear_ros.hri.capsules import PARTS, RADII
from pear_ros.ros.bridges import separation
from pear_ros.ros.bridges.separation import SeparationNode, robot_frame
from pear_ros.ros.running import StartError
from testing.bridge_listener import (
    CAMERA_HEIGHT,
    BridgeListener,
    camera_in_odom,
    closed_at_end,
    humans,
)
from testing.open_people import JOINT, person, t_pose

Make = Callable[..., BridgeListener]


@pytest.fixture
def make_listener(executor: Any) -> Iterator[Make]:
    with closed_at_end(partial(BridgeListener, executor, SeparationNode)) as make:

        def make_for(*robot_frames: str) -> BridgeListener:
            frames = list(robot_frames or ["tool0:0.15"])
            return make(target_frame="odom", robot_frames=frames)

        yield make_for


def tool_in_odom(second: float, x: float = 1.0, z: float = CAMERA_HEIGHT) -> TransformStamped:
    """Return the frame tool0, on the camera's line of sight."""
    result = camera_in_odom(second)
    result.child_frame_id = "tool0"
    result.transform.translation.x, result.transform.translation.z = x, z
    return result


def known_person(**changes: Any) -> Person:
    """Return a person who faces the camera 4 m before it, with known distance."""
    return replace(person(t_pose()), depth_error=0.1, **changes)


def send(listener: BridgeListener, arrived: list[Any], second: float, *persons: Person) -> Any:
    """Publish people; return what arrives."""
    count = len(arrived)
    listener.publisher.publish(humans(second, *persons))
    listener.wait(lambda: len(arrived) > count)
    return arrived[-1]


def xyz(point: Any) -> Float64:
    return np.array([point.x, point.y, point.z])


def test_distance_to_the_nearest_part(make_listener: Make) -> None:
    listener = make_listener("tool0:0.15", "odom:0.0")
    listener.publish_frames(camera_in_odom(0.0), tool_in_odom(0.0), static=True)
    arrived = listener.listen(SeparationArray, "separation")
    message = send(listener, arrived, 1.0, known_person())
    assert (message.header.frame_id, message.header.stamp.sec) == ("odom", 1)
    assert (message.model_id, message.body_model) == ("tiny/1", "open")
    assert message.latency > 0.0
    tool, base = message.separations
    assert (tool.human_id, tool.robot_frame) == ("h1", "tool0")
    assert tool.robot_radius == pytest.approx(0.15)
    assert base.robot_frame == "odom"
    apart = xyz(tool.robot_point) - xyz(tool.human_point)
    assert np.linalg.norm(apart) == pytest.approx(tool.distance, abs=1e-5)
    np.testing.assert_allclose(np.linalg.norm(xyz(tool.robot_point) - (1, 0, CAMERA_HEIGHT)), 0.15)
    # The trunk is nearest: the chest, 4 m before the camera.
    assert tool.body_part in {"pelvis", "spine1", "spine2", "spine3"}
    assert tool.distance == pytest.approx(4.0 - 1.0 - 0.15 - 0.17, abs=0.03)
    assert 0.1 < tool.distance_error < 0.13  # that of the distance, and of the surface
    assert np.isnan(tool.closing_speed)  # not known yet


def test_closing_speed_includes_person_and_robot(make_listener: Make) -> None:
    listener = make_listener()
    arrived = listener.listen(SeparationArray, "separation")
    listener.publish_frames(camera_in_odom(0.0), static=True)
    listener.publish_frames(*(tool_in_odom(1.0 + t, x=1.0 + t) for t in (0.0, 0.5)))
    listener.wait(lambda: listener.bridge._target.lookup(humans(1.5).header) is not None)
    for second in (1.0, 1.1, 1.2):
        nearer = replace(person(t_pose(), (0.0, 0.0, 6.0 - 2 * second)), depth_error=0.1)
        message = send(listener, arrived, second, nearer)
    (one,) = message.separations
    assert one.closing_speed == pytest.approx(3.0, abs=1e-3)


def test_a_raised_hand_is_nearest(make_listener: Make) -> None:
    listener = make_listener()
    listener.publish_frames(camera_in_odom(0.0), tool_in_odom(0.0), static=True)
    arrived = listener.listen(SeparationArray, "separation")
    forwards = person(t_pose(left_shoulder=(0.0, -np.pi / 2, 0.0)))
    (one,) = send(listener, arrived, 1.0, forwards).separations
    assert one.body_part in {"left_wrist", "left_thumb1"}


def test_unknown_is_nan_and_the_camera_without_transform_too(
    make_listener: Make, capfd: pytest.CaptureFixture[str]
) -> None:
    listener = make_listener("tool0:0.15", "gripper:0.1")
    arrived = listener.listen(SeparationArray, "separation")
    for one in send(listener, arrived, 1.0, known_person()).separations:
        assert np.isnan([one.distance, one.closing_speed, one.human_point.x]).all()
    assert "No positions in 'odom'" in capfd.readouterr().err
    listener.publish_frames(camera_in_odom(0.0), tool_in_odom(0.0), static=True)
    unknown = known_person(id="h2", joints=np.full((55, 3), np.nan, np.float32))
    message = send(listener, arrived, 2.0, known_person(), unknown)
    known = [np.isfinite(one.distance) for one in message.separations]
    assert known == [True, False, False, False]
    assert [one.body_part for one in message.separations][1:] == ["", "", ""]
    unsure = replace(known_person(), depth_error=np.nan)
    assert np.isnan(send(listener, arrived, 3.0, unsure).separations[0].distance_error)


def test_people_who_are_lost_or_absent_have_no_separation(make_listener: Make) -> None:
    listener = make_listener()
    listener.publish_frames(camera_in_odom(0.0), tool_in_odom(0.0), static=True)
    arrived = listener.listen(SeparationArray, "separation")
    lost = known_person(state=TrackingState.LOST)
    assert not send(listener, arrived, 1.0, lost).separations
    assert not send(listener, arrived, 2.0).separations


def test_a_body_that_was_not_read_is_an_upright_capsule(make_listener: Make) -> None:
    listener = make_listener()
    listener.publish_frames(camera_in_odom(0.0), tool_in_odom(0.0), static=True)
    arrived = listener.listen(SeparationArray, "separation")
    (one,) = send(listener, arrived, 1.0, known_person(state=TrackingState.DETECTED)).separations
    assert one.body_part == "pelvis"
    assert one.distance == pytest.approx(4.0 - 1.0 - 0.15 - 0.35, abs=0.01)
    assert one.distance_error > 0.3


def test_markers_show_capsules_and_lines_and_are_deleted(make_listener: Make) -> None:
    listener = make_listener()
    listener.publish_frames(camera_in_odom(0.0), tool_in_odom(0.0), static=True)
    meshes = listener.listen(MarkerArray, "capsule_markers")
    lines = listener.listen(MarkerArray, "separation_markers")
    (mesh,) = send(listener, meshes, 1.0, known_person()).markers
    assert (mesh.header.frame_id, mesh.ns, mesh.action) == ("odom", "h1", Marker.ADD)
    assert len(mesh.points) == FACES.size
    points = np.array([xyz(point) for point in mesh.points[:300]])
    hips = person(t_pose()).joints[1:3].mean(axis=0)
    near = np.linalg.norm(points - (hips[2], -hips[0], CAMERA_HEIGHT - hips[1]), axis=1)
    assert near.max() < 0.5
    listener.wait(lambda: lines)
    (line,) = lines[-1].markers
    assert (line.type, line.action, len(line.points)) == (Marker.LINE_LIST, Marker.ADD, 2)
    (mesh,) = send(listener, meshes, 2.0, known_person(state=TrackingState.LOST)).markers
    assert (mesh.ns, mesh.action) == ("h1", Marker.DELETE)
    listener.wait(lambda: len(lines) == 2)
    assert lines[-1].markers[0].action == Marker.DELETE


def test_collision_objects_are_added_and_removed(make_listener: Make) -> None:
    moveit = pytest.importorskip("moveit_msgs.msg", reason="needs moveit_msgs")
    listener = make_listener()
    listener.publish_frames(camera_in_odom(0.0), tool_in_odom(0.0), static=True)
    arrived = listener.listen(moveit.CollisionObject, "/collision_object")
    joints = person(t_pose()).joints.copy()
    joints[JOINT["left_elbow"]] = np.nan
    added = send(listener, arrived, 1.0, known_person(joints=joints))
    assert (added.header.frame_id, added.id) == ("odom", "h1")
    assert added.operation == moveit.CollisionObject.ADD
    assert len(added.primitives) == len(added.primitive_poses) == 3 * (len(PARTS) - 2)
    head = 3 * PARTS.index("head")
    cylinder, sphere, _ = added.primitives[head : head + 3]
    radius = RADII[PARTS.index("head")]
    assert list(sphere.dimensions) == pytest.approx([radius], rel=1e-6)
    assert cylinder.dimensions[1] == pytest.approx(radius, rel=1e-6)
    ends = [xyz(pose.position) for pose in added.primitive_poses[head + 1 : head + 3]]
    assert cylinder.dimensions[0] == pytest.approx(np.linalg.norm(ends[1] - ends[0]), rel=1e-6)
    middle = xyz(added.primitive_poses[head].position)
    np.testing.assert_allclose(middle, (ends[0] + ends[1]) / 2, atol=1e-9)
    assert 1.3 < middle[2] < 2.2
    removed = send(listener, arrived, 2.0)
    assert (removed.id, removed.operation) == ("h1", moveit.CollisionObject.REMOVE)
    assert not removed.primitives


def test_nothing_is_computed_without_subscribers(
    make_listener: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []
    monkeypatch.setattr(separation, "_capsules", lambda *_: called.append(1))
    make_listener().bridge._publish(humans(1.0, known_person()))
    assert not called


@pytest.mark.parametrize("entry", ["", "tool0", "tool0:", ":0.1", "tool0:-1", "tool0:nan", "t:inf"])
def test_wrong_robot_frames_are_named(entry: str) -> None:
    with pytest.raises(StartError, match=r"robot_frames has the entry .* such as tool0:0\.15"):
        robot_frame(entry)


def test_a_frame_may_have_a_prefix() -> None:
    assert robot_frame("arm/tool0:0.15") == ("arm/tool0", 0.15)


def test_target_frame_must_be_given(executor: Any) -> None:
    with pytest.raises(StartError, match="target_frame is empty"):
        SeparationNode(context=executor.context)
