# SPDX-License-Identifier: Apache-2.0
"""What goes to /tf: as rclpy would serialise it, and from the real node."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs ROS 2")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from pear_ros.core.people import SMPLX_JOINT_NAMES
from pear_ros.ros.conversion.transforms import TransformMessages, frame_names
from testing.open_people import OpenPipeline
from testing.ros_bench import Bench, image

MakeBench = Callable[..., Bench]

NAMES, PARENTS = ("pelvis", "left_hip", "knee"), np.array([-1, 0, 1])
names = st.text(max_size=9).map(lambda name: name.replace("\0", ""))


def transform(numbers: np.ndarray) -> Transform:
    x, y, z, qx, qy, qz, qw = numbers.tolist()
    return Transform(
        translation=Vector3(x=x, y=y, z=z), rotation=Quaternion(x=qx, y=qy, z=qz, w=qw)
    )


def tf_message(
    frame_id: str, stamp: tuple[int, int], ids: list[str], frames: np.ndarray
) -> TFMessage:
    """The same message in rclpy's ordinary way."""
    message = TFMessage()
    for track_id, person in zip(ids, frames, strict=True):
        body = f"body_{track_id}"
        children = [body, f"{body}_left_hip", f"{body}_knee"]
        for parent, child, numbers in zip([frame_id, *children], children, person, strict=False):
            header = Header(frame_id=parent, stamp=Time(sec=stamp[0], nanosec=stamp[1]))
            message.transforms.append(
                TransformStamped(header=header, child_frame_id=child, transform=transform(numbers))
            )
    return message


@given(data=st.data())
def test_messages_are_those_of_rclpy_from_image_to_image(data: st.DataObject) -> None:
    """One object serves a sequence in which ids come, stay and go, with roots or all joints."""
    messages = TransformMessages(NAMES, PARENTS)
    frame_ids, ids = data.draw(st.tuples(names, names)), data.draw(st.lists(names, unique=True))
    sent = []
    for second in range(data.draw(st.integers(1, 5))):
        there = data.draw(st.lists(st.sampled_from(ids), unique=True)) if ids else []
        count = data.draw(st.sampled_from([1, 3]))
        frames = np.random.default_rng(second).normal(size=(len(there), count, 7))
        scene = (data.draw(st.sampled_from(frame_ids)), (second - 2, 10**9 - 1), there, frames)
        sent.append((messages.serialize(*scene), tf_message(*scene)))
    for serialized, expected in sent:
        assert deserialize_message(serialized, TFMessage) == expected
        assert len(serialized) == len(serialize_message(expected))


def test_names() -> None:
    frames = frame_names("h7", SMPLX_JOINT_NAMES)
    assert frames[:3] == ["body_h7", "body_h7_left_hip", "body_h7_right_hip"]
    assert len(set(frames)) == 55


def test_roots_of_people(make_bench: MakeBench) -> None:
    bench = make_bench(pipeline=OpenPipeline(), transforms="roots")
    transforms = bench.subscribe(TFMessage, "tf")
    sent = image(12.25, 0, 2)
    bench.publish(sent)
    bench.wait_for(1, transforms)

    one, two = transforms[0].transforms
    assert (one.header, two.header) == (sent.header, sent.header)
    assert (one.child_frame_id, two.child_frame_id) == ("body_h1", "body_h3")
    left, right = one.transform.translation, two.transform.translation
    assert right.x - left.x == pytest.approx(2.0, abs=1e-6)
    rotation = one.transform.rotation
    axes = Rotation.from_quat([rotation.x, rotation.y, rotation.z, rotation.w]).as_matrix()
    towards_camera, up = (0, 0, -1), (0, -1, 0)
    np.testing.assert_allclose(axes[:, 0], towards_camera, atol=1e-6)
    np.testing.assert_allclose(axes[:, 2], up, atol=1e-6)
    assert bench.pipeline.mesh_calls == 0


def test_lost_people_are_not_sent(make_bench: MakeBench) -> None:
    bench = make_bench(transforms="roots")
    transforms = bench.subscribe(TFMessage, "tf")
    bench.publish(image(1, 0, 1))
    bench.wait_for(1, transforms)
    bench.publish(image(2, 1))
    bench.wait_for(2, transforms)
    assert [t.child_frame_id for t in transforms[1].transforms] == ["body_h2"]


def test_image_without_people_sends_no_transforms(make_bench: MakeBench) -> None:
    bench = make_bench(transforms="roots")
    transforms = bench.subscribe(TFMessage, "tf")
    bench.publish(image(1))
    bench.wait_statistic("processed", 1)
    bench.publish(image(2, 0))
    bench.wait_for(1, transforms)
    assert [len(message.transforms) for message in transforms] == [1]


def test_joints_on_demand(make_bench: MakeBench) -> None:
    bench = make_bench(transforms="roots")
    transforms = bench.subscribe(TFMessage, "tf")
    bench.node.set_parameters([Parameter("transforms", value="joints")])
    bench.publish(image(1, 0, 1))
    bench.wait_for(1, transforms)
    children = [t.child_frame_id for t in transforms[0].transforms]
    one, two = (frame_names(track_id, SMPLX_JOINT_NAMES) for track_id in ("h1", "h2"))
    assert children == one + two
    parents = {t.child_frame_id: t.header.frame_id for t in transforms[0].transforms}
    assert parents["body_h1"] == parents["body_h2"] == "camera_optical"
    assert parents["body_h2_right_hip"] == "body_h2_left_hip"  # a chain in the tiny body


def test_off_means_off(bench: Bench) -> None:
    """/tf always has subscribers on a robot; they alone cause no computation."""
    arrived: list[TFMessage] = []
    bench.client.create_subscription(TFMessage, "/tf", arrived.append, QoSProfile(depth=10))
    bench.wait(lambda: bench.node.count_subscribers("/tf") == 1)
    bench.publish(image(1, 0))
    bench.wait_statistic("unwatched", 1)
    assert bench.pipeline.stamps == []

    bench.node.set_parameters([Parameter("transforms", value="roots")])
    bench.publish(image(2, 0))
    bench.wait_for(1, arrived)
    bench.node.set_parameters([Parameter("transforms", value="off")])
    bench.publish(image(3, 0))
    bench.wait_statistic("unwatched", 2)
    assert [t.header.stamp.sec for message in arrived for t in message.transforms] == [2]


def test_as_tf2_listens(make_bench: MakeBench) -> None:
    bench = make_bench(transforms="roots")
    bench.wait(lambda: bench.client.get_publishers_info_by_topic("/tf"))
    (info,) = bench.client.get_publishers_info_by_topic("/tf")
    assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE
