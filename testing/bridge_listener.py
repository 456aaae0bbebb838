# SPDX-License-Identifier: Apache-2.0
"""A bridge, a publisher of `humans`, and a tool that listens to the bridge, over real DDS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from scipy.spatial.transform import Rotation
from tf2_msgs.msg import TFMessage

from pear_msgs.msg import HumanArray
from pear_ros.core.people import People, Person
from pear_ros.ros.conversion.messages import human_array
from testing.open_people import CAMERA
from testing.ros_bench import header

TIMEOUT_SECONDS = 60.0
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
CAMERA_HEIGHT = 1.2
"""Height of the camera of camera_in_odom above the floor, metres."""


def humans(second: float, *persons: Person) -> HumanArray:
    """Return people in an image of this stamp."""
    return human_array(People(CAMERA, "tiny/1", "open", persons), header(second))


def camera_in_odom(second: float, x: float = 0.0) -> TransformStamped:
    """Return the optical frame of a level camera that looks along the x axis of odom."""
    result = TransformStamped(header=header(second), child_frame_id=header(second).frame_id)
    result.header.frame_id = "odom"
    turn = Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]).as_quat()
    place, rotation = result.transform.translation, result.transform.rotation
    place.x, place.z = x, CAMERA_HEIGHT
    rotation.x, rotation.y, rotation.z, rotation.w = turn.tolist()
    return result


class BridgeListener:
    """A bridge with `values` of parameters, and a tool; the tool publishes `humans`."""

    def __init__(self, executor: Any, kind: Callable[..., Node], **values: Any) -> None:
        self.executor = executor
        self.tool = Node("tool", context=executor.context)
        self.bridge: Any = kind(
            context=executor.context,
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
        )
        for node in (self.tool, self.bridge):
            executor.add_node(node)
        self.publisher = self.tool.create_publisher(HumanArray, "humans", QoSProfile(depth=1))
        self.wait(lambda: self.publisher.get_subscription_count() == 1)

    def wait(self, condition: Callable[[], object]) -> None:
        """Spin until the condition holds."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "timed out"
            self.executor.spin_once(timeout_sec=0.02)

    def listen(
        self, kind: type, topic: str, publishers: int = 1, profile: QoSProfile | int = 50
    ) -> list[Any]:
        """Return the growing list of what arrives, once it is connected."""
        arrived: list[Any] = []
        others = self.bridge.count_subscribers(topic)
        self.tool.create_subscription(kind, topic, arrived.append, profile)
        self.wait(lambda: self.bridge.count_subscribers(topic) > others)
        self.wait(lambda: self.tool.count_publishers(topic) == publishers)
        return arrived

    def publish_frames(self, *transforms: TransformStamped, static: bool = False) -> None:
        """Publish transforms; return once the bridge knows the last of them."""
        topic, profile = ("/tf_static", LATCHED) if static else ("/tf", QoSProfile(depth=10))
        publisher = self.tool.create_publisher(TFMessage, topic, profile)
        self.wait(lambda: publisher.get_subscription_count() >= 1)
        publisher.publish(TFMessage(transforms=list(transforms)))
        last = transforms[-1].header.stamp
        stamped = header(last.sec + 1e-9 * last.nanosec)
        self.wait(lambda: self.bridge._target.lookup(stamped) is not None)

    def close(self) -> None:
        """Destroy both nodes."""
        for node in (self.tool, self.bridge):
            self.executor.remove_node(node)
            node.destroy_node()


@contextmanager
def closed_at_end(kind: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Give a function that makes listeners of a `kind`; all are closed when the block ends."""
    made: list[Any] = []

    def make(**values: Any) -> Any:
        made.append(kind(**values))
        return made[-1]

    yield make
    for listener in made:
        listener.close()
