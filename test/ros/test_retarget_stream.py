# SPDX-License-Identifier: Apache-2.0
"""The node that streams motion, over real DDS and real sockets."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile

from pear_msgs.msg import HumanArray
from pear_ros.core.people import Person, TrackingState
from pear_ros.ros.bridges.retarget_stream import RetargetStream
from pear_ros.ros.running import StartError
from testing.bridge_listener import BridgeListener, camera_in_odom, closed_at_end, humans
from testing.open_people import person, t_pose


@pytest.fixture
def receiver() -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as one:
        one.bind(("127.0.0.1", 0))
        one.setblocking(False)
        yield one


@pytest.fixture
def listener(executor: Any, receiver: socket.socket) -> Iterator[Any]:
    def make(**values: Any) -> BridgeListener:
        url = f"json+udp://127.0.0.1:{receiver.getsockname()[1]}"
        return BridgeListener(executor, RetargetStream, **{"urls": [url], "delay": 0.0} | values)

    with closed_at_end(make) as maker:
        yield maker


def received(receiver: socket.socket) -> list[dict[str, Any]]:
    messages = []
    while True:
        try:
            messages.append(json.loads(receiver.recv(65536)))
        except BlockingIOError:
            return messages


def streamed(
    listener: BridgeListener, receiver: socket.socket, second: float, *persons: Person
) -> dict[str, Any]:
    """Publish people; return the first frame that shows their image or a later time."""
    arrived: list[dict[str, Any]] = []
    listener.publisher.publish(humans(second, *persons))

    def arrives() -> bool:
        arrived.extend(one for one in received(receiver) if one["stamp"] >= second)
        return bool(arrived)

    listener.wait(arrives)
    return arrived[0]


def test_a_person_is_streamed_in_the_target_frame(listener: Any, receiver: Any) -> None:
    node = listener(target_frame="odom")
    node.publish_frames(camera_in_odom(0.0), static=True)
    message = streamed(node, receiver, 1.0, person(t_pose()))
    assert message["person"] == "h1"
    place, _ = message["joints"]["pelvis"]
    np.testing.assert_allclose(place[:2], (4.0, 0.0), atol=0.1)
    assert 0.7 < message["joints"]["head"][0][2] < 2.5


def test_without_a_frame_people_stand_on_the_floor(
    listener: Any, receiver: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    message = streamed(listener(), receiver, 1.0, person(t_pose()))
    assert message["joints"]["left_foot"][0][2] == pytest.approx(0.02, abs=0.05)
    assert capfd.readouterr().err.count("the camera is taken as level") == 1


def test_a_person_who_is_lost_is_held_then_rests(listener: Any, receiver: Any) -> None:
    node = listener(hold_seconds=0.2)
    assert streamed(node, receiver, 1.0, person(t_pose()))["state"] in ("tracking", "holding")
    node.publisher.publish(humans(1.1, person(t_pose(), state=TrackingState.LOST)))
    states: list[str] = []

    def rests() -> bool:
        states.extend(one["state"] for one in received(receiver))
        return "resting" in states

    node.wait(rests)
    assert states[0] != "resting" and "holding" in states


def test_unknown_transforms_and_states_stream_nothing(
    listener: Any, receiver: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    node = listener(target_frame="odom")
    node.bridge._add(humans(1.0, person(t_pose())))
    assert "No positions in 'odom'" in capfd.readouterr().err
    strange = humans(1.0, person(t_pose()))
    strange.humans[0].tracking_state = 99
    node.publish_frames(camera_in_odom(0.0), static=True)
    node.bridge._add(strange)
    node.bridge._tick()
    assert received(receiver) == [] and node.bridge.stream.frame is None


def test_people_are_received_for_consumers_only(executor: Any) -> None:
    zmq = pytest.importorskip("zmq", reason="needs pyzmq")
    tool = Node("tool", context=executor.context)
    urls = Parameter("urls", value=["sonic://127.0.0.1:0?frames=2"])
    node = RetargetStream(context=executor.context, parameter_overrides=[urls])
    for one in (tool, node):
        executor.add_node(one)
    publisher = tool.create_publisher(HumanArray, "humans", QoSProfile(depth=1))
    wait = BridgeListener.wait.__get__(type("Bench", (), {"executor": executor})())
    wait(lambda: node.stream.channels[0].output is not None)
    assert publisher.get_subscription_count() == 0
    with zmq.Context.instance().socket(zmq.SUB) as subscriber:
        subscriber.setsockopt(zmq.SUBSCRIBE, b"pose")
        subscriber.connect(f"tcp://{node.stream.channels[0].output.address}")
        wait(lambda: publisher.get_subscription_count() == 1)
        packets: list[bytes] = []
        seconds = iter(np.arange(1.0, 1000.0, 0.02))

        def arrives() -> bool:
            publisher.publish(humans(float(next(seconds)), person(t_pose())))
            while subscriber.poll(0):
                packets.append(subscriber.recv())
            return bool(packets)

        wait(arrives)
    assert packets[0].startswith(b'pose{"v":3,')
    wait(lambda: publisher.get_subscription_count() == 0)
    for one in (tool, node):
        executor.remove_node(one)
        one.destroy_node()


def test_diagnostics_say_what_is_streamed(listener: Any, receiver: Any) -> None:
    node = listener()
    arrived = node.listen(DiagnosticArray, "/diagnostics")
    node.wait(lambda: arrived)
    (status,) = arrived[0].status
    assert status.message == "nobody is followed"
    streamed(node, receiver, 1.0, person(t_pose()))
    node.wait(lambda: arrived[-1].status[0].message != "nobody is followed")
    values = {pair.key: pair.value for pair in arrived[-1].status[0].values}
    assert values["person"] == "h1"
    assert [value for key, value in values.items() if key.startswith("json+udp")] == ["sending"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({}, "the parameter urls is empty"),
        ({"urls": ["http://a"]}, "the parameter urls must be a URL such as"),
        ({"urls": ["json+udp://no.host.invalid"]}, "the parameter urls: json.* unknown host no.ho"),
        ({"urls": ["ws://127.0.0.1:0"], "rate": 0.0}, "the parameter rate must be from 1 to 240"),
        ({"urls": ["ws://127.0.0.1:0"], "rate": "fast"}, "the parameter rate must be a number"),
        ({"urls": ["ws://127.0.0.1:0"], "person": "-1"}, "the parameter person must match"),
    ],
)
def test_wrong_parameters_are_named(executor: Any, values: dict[str, Any], reason: str) -> None:
    overrides = [Parameter(name, value=value) for name, value in values.items()]
    with pytest.raises(StartError, match=reason):
        RetargetStream(context=executor.context, parameter_overrides=overrides)


def test_whole_numbers_are_numbers(executor: Any) -> None:
    overrides = [Parameter("urls", value=["vmc://127.0.0.1:1"]), Parameter("rate", value=30)]
    node = RetargetStream(context=executor.context, parameter_overrides=overrides)
    assert node.get_parameter("rate").value == 30.0
    node.destroy_node()
