# SPDX-License-Identifier: Apache-2.0
"""Live people in a browser, over real DDS."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("viser", reason="needs the extra view")

from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage
from tf2_msgs.msg import TFMessage

from pear_msgs.msg import Human, HumanArray
from pear_ros.core.people import People
from pear_ros.ros.conversion.messages import human_array, jpeg_message
from pear_ros.ros.viewing.node import ViewerNode
from pear_ros.viewing.bodies import Bodies
from pear_ros.viewing.live import LiveFeed, LiveSession
from pear_ros.viewing.server import ViewServer
from testing.bridge_listener import CAMERA_HEIGHT, LATCHED, camera_in_odom
from testing.open_people import CAMERA, open_body, person, t_pose
from testing.ros_bench import header
from testing.viewer_client import ViewerClient

TIMEOUT_SECONDS = 60.0


class Robot:
    """A viewer and a publisher; `wait` spins both."""

    def __init__(self, executor: Any) -> None:
        self.executor = executor
        self.feed = LiveFeed("live")
        self.node = ViewerNode(self.feed, context=executor.context)
        bodies = Bodies()
        self.server = ViewServer(
            lambda viewer: LiveSession(viewer, self.feed, bodies),
            port=0,
            changed=self.node.count_viewers,
        )
        self.tool = Node("robot", context=executor.context)
        for node in (self.node, self.tool):
            executor.add_node(node)
        self.humans = self.tool.create_publisher(HumanArray, "humans", QoSProfile(depth=5))
        self.images = self.tool.create_publisher(
            CompressedImage, "image/compressed", QoSProfile(depth=5)
        )
        self.transforms = self.tool.create_publisher(TFMessage, "/tf_static", LATCHED)
        self.second = 1.0

    def wait(self, condition: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not (value := condition()):
            assert time.monotonic() < deadline, "timed out"
            self.executor.spin_once(timeout_sec=0.02)
        return value

    def publish(self, x: float = 0.0, body: str = "") -> None:
        """Publish one person, x metres to the right of the camera, and the image."""
        self.second += 0.1
        picture = np.full((480, 640, 3), 128, np.uint8)
        self.images.publish(jpeg_message(picture, header(self.second)))
        for _ in range(5):  # Results come later than their image.
            self.executor.spin_once(timeout_sec=0.005)
        people = People(
            CAMERA, "tiny/1", body or open_body().name, (person(t_pose(), (x, 0.0, 4.0)),)
        )
        self.humans.publish(human_array(people, header(self.second)))

    def publish_until(self, condition: Callable[[], Any], **options: Any) -> Any:
        """Publish again and again until the condition holds."""
        due = 0.0

        def step() -> Any:
            nonlocal due
            if time.monotonic() > due:
                self.publish(**options)
                due = time.monotonic() + 0.1
            return condition()

        return self.wait(step)

    def close(self) -> None:
        self.server.close()
        for node in (self.node, self.tool):
            self.executor.remove_node(node)
            node.destroy_node()


@pytest.fixture
def robot(executor: Any) -> Iterator[Robot]:
    robot = Robot(executor)
    yield robot
    robot.close()


@pytest.fixture
def look(robot: Robot) -> Iterator[Callable[..., ViewerClient]]:
    clients: list[ViewerClient] = []

    def make(query: str = "") -> ViewerClient:
        clients.append(ViewerClient(robot.server.url, query))
        return clients[-1]

    yield make
    for client in clients:
        client.__exit__(None, None, None)


def mesh_of(client: ViewerClient) -> str | None:
    return next(
        (name for name, n in list(client.nodes.items()) if n["type"] == "SkinnedMeshMessage"), None
    )


def test_people_are_shown_where_transforms_say(
    robot: Robot, look: Callable[..., ViewerClient]
) -> None:
    robot.transforms.publish(TFMessage(transforms=[camera_in_odom(0.0, x=2.0)]))
    client = look()
    name = robot.publish_until(lambda: mesh_of(client))
    place = (2.0, 0.0, CAMERA_HEIGHT)  # When the transform has arrived; it is assumed before.
    robot.publish_until(
        lambda: np.allclose(client.nodes["/a/c"].get("position", 0.0), place, atol=1e-6)
    )
    pelvis = person(t_pose(), (0.5, 0.0, 4.0)).joints[0]
    robot.publish_until(
        lambda: np.allclose(client.bones[name, 0]["position"], pelvis, atol=1e-4), x=0.5
    )
    robot.publish_until(lambda: any(name.startswith("/a/r/") for name in list(client.nodes)))
    robot.publish_until(lambda: "assumed" not in client.texts())


def test_picture_of_the_same_image_is_shown(
    robot: Robot, look: Callable[..., ViewerClient]
) -> None:
    client = look()
    robot.publish_until(
        lambda: any(
            node["type"] == "CameraFrustumMessage" and node.get("_image_data") is not None
            for node in list(client.nodes.values())
        )
    )
    moment = robot.feed.newest()
    assert moment is not None
    assert moment.picture is not None
    assert moment.picture.shape == (480, 640, 3)


def test_nothing_is_subscribed_to_while_nobody_looks(
    robot: Robot, look: Callable[..., ViewerClient]
) -> None:
    topics = ("humans", "image/compressed", "/tf")

    def subscribers() -> int:
        return sum(robot.tool.count_subscribers(topic) for topic in topics)

    assert subscribers() == 0
    with ViewerClient(robot.server.url):
        robot.wait(lambda: subscribers() == len(topics))
    robot.wait(lambda: subscribers() == 0)
    robot.wait(lambda: robot.server.viewers == 0)
    assert not [t for t in threading.enumerate() if t.name.startswith("viewer")]


def test_silent_topics_are_told(robot: Robot, look: Callable[..., ViewerClient]) -> None:
    client = look()
    robot.publish_until(lambda: mesh_of(client))
    robot.wait(lambda: "/humans has been silent" in client.texts())
    robot.tool.destroy_publisher(robot.humans)
    robot.wait(lambda: "Nobody publishes /humans" in client.texts())
    assert "Shown are the last people" in client.texts()
    robot.humans = robot.tool.create_publisher(HumanArray, "humans", QoSProfile(depth=5))
    robot.publish_until(lambda: "/humans" not in client.texts())


def test_body_without_mesh_is_told(robot: Robot, look: Callable[..., ViewerClient]) -> None:
    client = look()
    robot.publish_until(
        lambda: "no mesh of the body smplx-neutral" in client.texts(), body="smplx-neutral"
    )
    assert mesh_of(client) is None


def test_nonsense_ends_nothing(robot: Robot, look: Callable[..., ViewerClient]) -> None:
    client = look()
    robot.wait(lambda: robot.humans.get_subscription_count())
    robot.humans.publish(HumanArray(humans=[Human(tracking_state=77)]))
    robot.wait(lambda: robot.node._faults)
    robot.publish_until(lambda: mesh_of(client))
    assert not robot.node._faults


def test_viewers_that_do_not_read_get_the_newest_later(robot: Robot) -> None:
    with ViewerClient(robot.server.url) as fast, ViewerClient(robot.server.url) as slow:
        robot.publish_until(lambda: mesh_of(fast) and mesh_of(slow))
        slow.pause()
        for step in range(200):
            robot.publish(x=0.01 * step)
            robot.executor.spin_once(timeout_sec=0.01)
        pelvis = person(t_pose(), (3.0, 0.0, 4.0)).joints[0]
        name = mesh_of(fast)
        assert name
        robot.publish_until(
            lambda: np.allclose(fast.bones[name, 0]["position"], pelvis, atol=1e-4), x=3.0
        )
        slow.resume()
        robot.wait(lambda: np.allclose(slow.bones[name, 0]["position"], pelvis, atol=1e-4))
