# SPDX-License-Identifier: Apache-2.0
"""The bridge to people_msgs, PoseArray and Detection3DArray, over real DDS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("people_msgs", reason="needs people_msgs")
pytest.importorskip("vision_msgs", reason="needs vision_msgs")

from geometry_msgs.msg import PoseArray
from people_msgs.msg import People
from scipy.spatial.transform import Rotation
from vision_msgs.msg import Detection3DArray

from pear_ros.core.people import TrackingState
from pear_ros.ros.bridges import people_bridge
from pear_ros.ros.bridges.people_bridge import PeopleBridge
from testing.bridge_listener import (
    CAMERA_HEIGHT,
    BridgeListener,
    camera_in_odom,
    closed_at_end,
    humans,
)
from testing.open_people import person, t_pose


@pytest.fixture
def make_listener(executor: Any) -> Iterator[Callable[..., BridgeListener]]:
    with closed_at_end(partial(BridgeListener, executor, PeopleBridge)) as make:
        yield make


def xyz(point: Any) -> tuple[float, float, float]:
    return point.x, point.y, point.z


def turn(orientation: Any) -> Rotation:
    return Rotation.from_quat([orientation.x, orientation.y, orientation.z, orientation.w])


def test_people_have_position_velocity_and_reliability(
    make_listener: Callable[..., BridgeListener],
) -> None:
    listener = make_listener(target_frame="odom")
    listener.publish_frames(camera_in_odom(0.0), static=True)
    arrived = listener.listen(People, "/people")
    for step in range(2):
        one = person(t_pose(), (0.0, 0.0, 4.0 - step / 5))
        lost = person(t_pose(), track_id="h2", state=TrackingState.LOST)
        listener.publisher.publish(humans(1.0 + step / 5, one, lost))
        listener.wait(lambda step=step: len(arrived) > step)
    first, second = arrived
    assert (second.header.frame_id, second.header.stamp.sec) == ("odom", 1)
    (one,) = second.people
    assert (one.name, one.reliability) == ("h1", 0.75)
    hips = person(t_pose(), (0.0, 0.0, 3.8)).joints[1:3].mean(axis=0)
    expected = (hips[2], -hips[0], CAMERA_HEIGHT - hips[1])
    assert xyz(one.position) == pytest.approx(expected, abs=1e-4)
    assert xyz(one.velocity) == pytest.approx((-1.0, 0.0, 0.0), abs=1e-4)
    assert xyz(first.people[0].velocity) == (0.0, 0.0, 0.0)  # not known yet


def test_poses_face_where_people_face(make_listener: Callable[..., BridgeListener]) -> None:
    listener = make_listener(target_frame="odom")
    listener.publish_frames(camera_in_odom(0.0), static=True)
    arrived = listener.listen(PoseArray, "people_poses")
    listener.publisher.publish(humans(1.0, person(t_pose())))
    listener.wait(lambda: arrived)
    (pose,) = arrived[0].poses
    facing = turn(pose.orientation)
    np.testing.assert_allclose(facing.apply([1, 0, 0]), [-1, 0, 0], atol=1e-6)  # at the camera
    np.testing.assert_allclose(facing.apply([0, 0, 1]), [0, 0, 1], atol=1e-6)


def test_boxes_enclose_the_joints(make_listener: Callable[..., BridgeListener]) -> None:
    listener = make_listener()
    arrived = listener.listen(Detection3DArray, "people_detections")
    message = humans(1.0, person(t_pose()), person(t_pose(), (1.0, 0.0, 5.0), "h2"))
    listener.publisher.publish(message)
    listener.wait(lambda: arrived)
    assert arrived[0].header == message.header
    first, second = arrived[0].detections
    assert [first.id, second.id] == ["h1", "h2"]
    (result,) = first.results
    assert (result.hypothesis.class_id, result.hypothesis.score) == ("person", 0.75)
    joints = person(t_pose()).joints
    centre, size = np.array(xyz(first.bbox.center.position)), np.array(xyz(first.bbox.size))
    np.testing.assert_allclose(centre - size / 2, joints.min(axis=0) - 0.1, atol=1e-5)
    np.testing.assert_allclose(centre + size / 2, joints.max(axis=0) + 0.1, atol=1e-5)
    hips = joints[1:3].mean(axis=0)
    assert xyz(result.pose.pose.position) == pytest.approx(tuple(hips), abs=1e-5)


def test_empty_images_and_unknown_bodies_leave_people_out(
    make_listener: Callable[..., BridgeListener],
) -> None:
    listener = make_listener()
    people = listener.listen(People, "/people")
    boxes = listener.listen(Detection3DArray, "people_detections")
    poses = listener.listen(PoseArray, "people_poses")
    unknown = humans(1.0, person(t_pose()), person(t_pose(), track_id="h2"))
    unknown.humans[0].joints = np.full(165, np.nan, np.float32)
    for count, message in enumerate((unknown, humans(2.0)), 1):
        listener.publisher.publish(message)
        listener.wait(lambda count=count: all(len(one) == count for one in (people, boxes, poses)))
    assert [[one.name for one in message.people] for message in people] == [["h2"], []]
    assert [[one.id for one in message.detections] for message in boxes] == [["h2"], []]
    assert [len(message.poses) for message in poses] == [1, 0]


def test_nothing_is_published_in_a_wrong_frame(
    make_listener: Callable[..., BridgeListener], capfd: pytest.CaptureFixture[str]
) -> None:
    listener = make_listener(target_frame="odom")
    arrived = listener.listen(PoseArray, "people_poses")
    for second in (1.0, 1.1):
        listener.publisher.publish(humans(second, person(t_pose())))
    listener.publish_frames(camera_in_odom(0.0), static=True)
    listener.publisher.publish(humans(2.0, person(t_pose())))
    listener.wait(lambda: arrived)
    assert [message.header.frame_id for message in arrived] == ["odom"]
    assert arrived[0].header.stamp.sec == 2
    assert capfd.readouterr().err.count("No positions in 'odom'") == 1


def test_nothing_is_computed_without_subscribers(
    make_listener: Callable[..., BridgeListener], monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []
    monkeypatch.setattr(people_bridge, "_known", lambda *_: called.append(1))
    listener = make_listener()
    listener.bridge._publish(humans(1.0, person(t_pose())))
    assert not called


def test_missing_packages_are_named_and_the_rest_works(
    make_listener: Callable[..., BridgeListener],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(people_bridge, "People", None)
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    listener = make_listener()
    said = capfd.readouterr().err
    assert "/people is not published: sudo apt install ros-jazzy-people-msgs" in said
    arrived = listener.listen(PoseArray, "people_poses")
    listener.publisher.publish(humans(1.0, person(t_pose())))
    listener.wait(lambda: arrived)
    assert listener.tool.count_publishers("/people") == 0
