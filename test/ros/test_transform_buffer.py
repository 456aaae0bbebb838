# SPDX-License-Identifier: Apache-2.0
"""Look-up of frames: rules of tf2, what is missing in one sentence, and a real subscription."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs ROS 2")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from pear_ros.ros.transform_buffer import TransformBuffer, TransformError
from pear_ros.ros.transform_listener import TransformListener

SECOND = 1_000_000_000
triples = st.lists(st.floats(-4.0, 4.0), min_size=3, max_size=3).map(np.array)


def message(
    parent: str, child: str, second: float, translation: Any = (0, 0, 0), turn: Any = (0, 0, 0)
) -> TFMessage:
    """A transform of /tf; `turn`: rotation vector."""
    whole = int(second)
    x, y, z, w = Rotation.from_rotvec(turn).as_quat()
    transform = TransformStamped(
        header=Header(
            frame_id=parent, stamp=Time(sec=whole, nanosec=round((second - whole) * 1e9))
        ),
        child_frame_id=child,
        transform=Transform(
            translation=Vector3(**dict(zip("xyz", map(float, translation), strict=True))),
            rotation=Quaternion(x=x, y=y, z=z, w=w),
        ),
    )
    return TFMessage(transforms=[transform])


def robot() -> TransformBuffer:
    """A base that drives along x at 1 m/s from second 10 to 12, with a camera 1 m above it."""
    buffer = TransformBuffer()
    for second in (10.0, 11.0, 12.0):
        buffer.add(message("odom", "base", second, (second, 0, 0)))
    buffer.add(message("base", "camera", 0.0, (0, 0, 1)), static=True)
    return buffer


def cause(buffer: TransformBuffer, target: str, source: str, second: float) -> str:
    with pytest.raises(TransformError) as caught:
        buffer.lookup(target, source, round(second * SECOND))
    assert "\n" not in str(caught.value)
    assert not str(caught.value).endswith(".")
    return caught.value.cause


def test_lookup_interpolates_at_the_stamp() -> None:
    found = robot().lookup("odom", "camera", round(11.25 * SECOND))
    assert np.allclose(found.translation, (11.25, 0, 1))
    assert np.allclose(found.rotation, np.eye(3))


def test_lookup_ignores_leading_slashes_and_goes_both_ways() -> None:
    buffer = robot()
    assert np.allclose(buffer.lookup("camera", "/odom", 11 * SECOND).translation, (-11, 0, -1))
    assert np.allclose(buffer.lookup("base", "base", 0).rotation, np.eye(3))


@given(triples, triples, triples, triples, st.floats(0.0, 1.0))
def test_lookup_agrees_with_scipy(
    a: np.ndarray, b: np.ndarray, turn: np.ndarray, other: np.ndarray, share: float
) -> None:
    buffer = TransformBuffer()
    buffer.add(message("map", "left", 1.0, a, turn))
    buffer.add(message("map", "left", 3.0, b, turn))
    buffer.add(message("map", "right", 0.0, b, other), static=True)
    stamp = round((1.0 + 2.0 * share) * SECOND)
    found = buffer.lookup("right", "left", stamp)
    share = 0.5 * (1e-9 * stamp - 1.0)
    back = Rotation.from_rotvec(other).inv()
    assert np.allclose(found.rotation, (back * Rotation.from_rotvec(turn)).as_matrix(), atol=1e-6)
    assert np.allclose(found.translation, back.apply(a + share * (b - a) - b), atol=1e-6)


def test_lookup_turns_on_the_shortest_way() -> None:
    buffer = TransformBuffer()
    buffer.add(message("map", "base", 1.0, turn=(0, 0, 3.0)))
    buffer.add(message("map", "base", 2.0, turn=(0, 0, -3.0)))
    found = buffer.lookup("map", "base", round(1.5 * SECOND))
    assert np.allclose(found.rotation, Rotation.from_rotvec((0, 0, np.pi)).as_matrix())


def test_what_is_missing_is_said() -> None:
    buffer = robot()
    buffer.add(message("world", "arm", 11.0))
    assert cause(TransformBuffer(), "odom", "camera", 11.0) == "unknown frame"
    assert cause(buffer, "map", "camera", 11.0) == "unknown frame"
    assert cause(buffer, "odom", "lidar", 11.0) == "unknown frame"
    assert cause(buffer, "odom", "arm", 11.0) == "unconnected frames"
    assert cause(buffer, "odom", "camera", 12.1) == "late transform"
    assert cause(buffer, "odom", "camera", 13.5) == "old transform"
    assert cause(buffer, "odom", "camera", 9.5) == "image before transforms"


def test_a_loop_of_frames_ends() -> None:
    buffer = TransformBuffer()
    buffer.add(message("a", "b", 1.0))
    buffer.add(message("b", "a", 1.0))
    assert cause(buffer, "c", "a", 1.0) == "unknown frame"
    assert np.allclose(buffer.lookup("a", "b", SECOND).rotation, np.eye(3))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"x": float("nan")}, "NaN"),
        ({"w": 0.0}, "norm"),
        ({"w": 3.0}, "norm"),
    ],
)
def test_broken_transforms_are_left_out_and_named(broken: dict[str, float], reason: str) -> None:
    buffer = TransformBuffer()
    bad = message("odom", "base", 1.0)
    for name, value in broken.items():
        setattr(bad.transforms[0].transform.rotation, name, value)
    buffer.add(bad)
    with pytest.raises(TransformError, match=reason):
        buffer.lookup("odom", "base", SECOND)
    buffer.add(message("odom", "base", 1.0))
    buffer.lookup("odom", "base", SECOND)


def test_quaternions_of_few_digits_give_rotations() -> None:
    buffer = TransformBuffer()
    rough = message("odom", "base", 1.0)
    rough.transforms[0].transform.rotation = Quaternion(x=0.7, y=0.0, z=0.0, w=0.7)
    buffer.add(rough)
    found = buffer.lookup("odom", "base", SECOND).rotation
    assert np.allclose(found @ found.T, np.eye(3))


def test_old_transforms_are_dropped_also_of_a_bag_that_loops() -> None:
    buffer = TransformBuffer()
    for second in range(100):
        buffer.add(message("odom", "base", second))
    assert cause(buffer, "odom", "base", 70.0) == "image before transforms"
    buffer.lookup("odom", "base", 90 * SECOND)
    for _ in range(50):
        for second in range(90, 100):
            buffer.add(message("odom", "base", second))
    assert len(buffer._frames["base"].samples) <= 22


def test_forget_keeps_what_is_static() -> None:
    buffer = robot()
    buffer.forget()
    buffer.lookup("base", "camera", 11 * SECOND)
    assert cause(buffer, "odom", "camera", 11.0) == "unknown frame"


def test_a_frame_may_change_its_parent() -> None:
    buffer = robot()
    buffer.add(message("map", "base", 12.5, (1, 2, 3)))
    assert np.allclose(buffer.lookup("map", "base", round(12.5 * SECOND)).translation, (1, 2, 3))


def test_lookup_waits_for_a_late_transform_only() -> None:
    buffer = robot()
    late = threading.Timer(0.05, buffer.add, [message("odom", "base", 12.5, (12.5, 0, 0))])
    late.start()
    found = buffer.lookup("odom", "camera", round(12.25 * SECOND), timeout=20.0)
    late.join()
    assert np.allclose(found.translation, (12.25, 0, 1))
    with pytest.raises(TransformError):  # A test that waits here runs into its time limit.
        buffer.lookup("map", "camera", 12 * SECOND, timeout=1e6)
    with pytest.raises(TransformError):
        buffer.lookup("odom", "camera", 12 * SECOND * 2, timeout=1e6)
    with pytest.raises(TransformError, match="older than the image"):
        buffer.lookup("odom", "camera", round(12.6 * SECOND), timeout=0.01)


def test_listener_hears_tf_and_earlier_static_transforms(executor: Any) -> None:
    client = Node("frames", context=executor.context)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    static = client.create_publisher(TFMessage, "/tf_static", latched)
    static.publish(message("base", "camera", 0.0, (0, 0, 1)))
    moving = client.create_publisher(TFMessage, "/tf", QoSProfile(depth=10))
    robot_node = Node("robot", context=executor.context)
    listener = TransformListener(robot_node)
    for node in (client, robot_node):
        executor.add_node(node)
    deadline = time.monotonic() + 20.0
    found = None
    while found is None:
        assert time.monotonic() < deadline
        moving.publish(message("odom", "base", 5.0, (2, 0, 0)))
        executor.spin_once(timeout_sec=0.02)
        try:
            found = listener.lookup("odom", "camera", 5 * SECOND)
        except TransformError:
            continue
    assert np.allclose(found.translation, (2, 0, 1))
    listener.forget()
    with pytest.raises(TransformError):
        listener.lookup("odom", "camera", 5 * SECOND)
    listener.destroy()
    for node in (client, robot_node):
        executor.remove_node(node)
        node.destroy_node()
