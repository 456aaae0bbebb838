# SPDX-License-Identifier: Apache-2.0
"""Replay of bags with /tf and /tf_static: poses and floors at the stamps of images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from pear_ros.bags.bag import Bag
from pear_ros.core.parameters import Parameters
from pear_ros.replay.frames import ReplayFrame
from pear_ros.replay.options import ReplayOptions
from pear_ros.replay.reader import TimeRangeReader
from testing.image_bags import PERIOD, START, TYPES, Recorded, write_bag
from testing.replaying import recorded

PARAMETERS = Parameters(target_frame="odom", floor="tf", ground_frame="odom")
TF_TYPE = "tf2_msgs/msg/TFMessage"


def transforms(parent: str, child: str, stamp: int, x: float, z: float) -> object:
    types = TYPES.types
    time = types["builtin_interfaces/msg/Time"](*divmod(START + stamp, 10**9))
    stamped = types["geometry_msgs/msg/TransformStamped"](
        types["std_msgs/msg/Header"](time, parent),
        child,
        types["geometry_msgs/msg/Transform"](
            types["geometry_msgs/msg/Vector3"](x, 0.0, z),
            types["geometry_msgs/msg/Quaternion"](-0.5, 0.5, -0.5, 0.5)
            if child == "camera"
            else types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0),
        ),
    )
    return types[TF_TYPE]([stamped])


def driving() -> Iterator[Recorded]:
    """A robot that drives at 1 m/s; its odometry is recorded 30 ms after its stamps."""
    yield "/tf_static", 0, transforms("base", "camera", 0, 0.0, 1.2)
    for n in range(60):
        stamp = n * PERIOD // 4
        yield "/tf", stamp + 30_000_000, transforms("odom", "base", stamp, 1e-9 * stamp, 0.0)


def bag_of(tmp_path: Path, *parts: Iterator[Recorded]) -> Bag:
    messages = sorted((one for part in parts for one in part), key=lambda one: one[1])
    return Bag(write_bag(tmp_path / "bag", messages))


def frames(bag: Bag, done: int = 0) -> list[ReplayFrame]:
    options = ReplayOptions().resolve(bag)
    [time_range] = options.time_ranges(bag)
    reader = TimeRangeReader(bag, options, PARAMETERS, time_range, [])
    return [
        event[1]
        for event in reader.read(done)
        if isinstance(event, tuple) and isinstance(event[1], ReplayFrame)
    ]


def test_poses_of_a_bag_are_at_the_stamps_of_its_images(tmp_path: Path) -> None:
    found = frames(bag_of(tmp_path, recorded(), driving()))
    assert len(found) == 12
    for n, frame in enumerate(found):
        assert frame.input.camera_pose is not None
        assert np.allclose(frame.input.camera_pose.translation, (0.1 * n, 0.0, 1.2))
        assert frame.input.ground is not None
        assert frame.input.ground.height == pytest.approx(1.2)


def test_resumed_replay_has_the_same_poses(tmp_path: Path) -> None:
    bag = bag_of(tmp_path, recorded(), driving())
    whole, rest = frames(bag), frames(bag, done=7)
    assert len(rest) == 5
    for one, other in zip(whole[7:], rest, strict=True):
        assert one.input.camera_pose is not None
        assert other.input.camera_pose is not None
        assert np.array_equal(
            one.input.camera_pose.translation, other.input.camera_pose.translation
        )


def test_bag_without_transforms_is_replayed_without_poses(tmp_path: Path) -> None:
    found = frames(bag_of(tmp_path, recorded()))
    assert len(found) == 12
    assert all(one.input.camera_pose is None and one.input.ground is None for one in found)
    kinds = {issue.kind for issue in found[0].input.issues}
    assert {"pose", "floor"} <= kinds
