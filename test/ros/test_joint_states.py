# SPDX-License-Identifier: Apache-2.0
"""MultiDOFJointState of all people: as rclpy would serialise it, and from the real node."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs ROS 2")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, Transform, Vector3
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import MultiDOFJointState
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from pear_ros.ros.conversion.joint_states import JointStateMessages
from testing.open_people import OpenPipeline
from testing.ros_bench import Bench, image

NAMES = ("pelvis", "left_hip", "knee")
names = st.text(max_size=9).map(lambda name: name.replace("\0", ""))


def joint_state(
    frame_id: str, stamp: tuple[int, int], ids: list[str], frames: np.ndarray
) -> MultiDOFJointState:
    """The same message in rclpy's ordinary way."""
    return MultiDOFJointState(
        header=Header(frame_id=frame_id, stamp=Time(sec=stamp[0], nanosec=stamp[1])),
        joint_names=[f"body_{i}{joint}" for i in ids for joint in ("", "_left_hip", "_knee")],
        transforms=[
            Transform(
                translation=Vector3(x=x, y=y, z=z), rotation=Quaternion(x=qx, y=qy, z=qz, w=qw)
            )
            for x, y, z, qx, qy, qz, qw in frames.reshape(-1, 7).tolist()
        ],
    )


@given(data=st.data())
def test_messages_are_those_of_rclpy_from_image_to_image(data: st.DataObject) -> None:
    messages = JointStateMessages(NAMES)
    sent = []
    for second in range(data.draw(st.integers(1, 5))):
        ids = data.draw(st.lists(names, unique=True, max_size=3))
        frames = np.random.default_rng(second).normal(size=(len(ids), 3, 7))
        scene = (data.draw(names), (second - 2, 10**9 - 1), ids, frames)
        sent.append((messages.serialize(*scene), joint_state(*scene)))
    for serialized, expected in sent:
        assert deserialize_message(serialized, MultiDOFJointState) == expected
        assert len(serialized) == len(serialize_message(expected))


def test_joints_are_the_frames_on_tf(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(pipeline=OpenPipeline(), transforms="joints")
    transforms = bench.subscribe(TFMessage, "tf")
    states = bench.subscribe(MultiDOFJointState, "body_joint_states")
    sent = image(12.25, 0, 2)
    bench.publish(sent)
    bench.wait_for(1, transforms, states)
    assert states[0].header == sent.header
    expected = {t.child_frame_id: t.transform for t in transforms[0].transforms}
    assert dict(zip(states[0].joint_names, states[0].transforms, strict=True)) == expected


def test_roots_on_tf_beside_all_joints(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(transforms="roots")
    transforms = bench.subscribe(TFMessage, "tf")
    states = bench.subscribe(MultiDOFJointState, "body_joint_states")
    bench.publish(image(1, 0, 1))
    bench.wait_for(1, transforms, states)
    assert len(transforms[0].transforms) == 2
    assert len(states[0].joint_names) == len(states[0].transforms) == 110


def test_image_without_people_has_no_joints(bench: Bench) -> None:
    states = bench.subscribe(MultiDOFJointState, "body_joint_states")
    bench.publish(image(1))
    bench.wait_for(1, states)
    assert (states[0].joint_names, states[0].transforms) == ([], [])
    assert bench.pipeline.mesh_calls == 0
