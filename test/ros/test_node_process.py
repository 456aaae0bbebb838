# SPDX-License-Identifier: Apache-2.0
"""The node as its own process: ROS arguments, Ctrl-C and exit status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CompressedImage

from pear_msgs.msg import HumanArray
from testing.ros_bench import header
from testing.tiny_pipeline import picture

ROOT = Path(__file__).parents[2]
NODE = """
import sys
from pear_ros.ros.node.node import main
from testing.tiny_pipeline import TinyPipeline
sys.exit(main(build=lambda parameters: TinyPipeline()))
"""
TIMEOUT_SECONDS = 30.0


def start(*ros_arguments: str, code: str = NODE) -> subprocess.Popen[str]:
    inherited = os.environ.get("PYTHONPATH", "")
    return subprocess.Popen(
        [sys.executable, "-c", code, "--ros-args", *ros_arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), inherited))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def client() -> Iterator[Node]:
    context = rclpy.Context()
    rclpy.init(context=context)
    node = Node("client", context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def wait(client: Node, condition: Callable[[], object]) -> None:
    executor = SingleThreadedExecutor(context=client.context)
    executor.add_node(client)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        executor.spin_once(timeout_sec=0.05)
    executor.remove_node(client)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_remapped_node_works_and_ends_quietly(client: Node, end: signal.Signals) -> None:
    process = start(
        *("-p", "image_transport:=compressed", "-r", "__ns:=/robot"),
        *("-r", "image:=/front/image_raw", "-r", "camera_info:=/front/camera_info"),
    )
    try:
        # Not /front/image_raw: the transport's name goes behind the remapped one.
        images = client.create_publisher(CompressedImage, "/front/image_raw/compressed", 1)
        humans: list[HumanArray] = []
        client.create_subscription(HumanArray, "/robot/humans", humans.append, 1)
        jpeg = cv2.imencode(".jpg", picture(1))[1].tobytes()

        def answered() -> bool:
            images.publish(CompressedImage(header=header(3), format="jpeg", data=jpeg))
            return bool(humans)

        wait(client, answered)
        assert client.count_subscribers("/front/camera_info") == 1
        assert [human.id for human in humans[0].humans] == ["h2"]

        process.send_signal(end)
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    finally:
        process.kill()
    assert "Traceback" not in output, output
    assert "Looking for people in /front/image_raw/compressed" in output
    assert process.returncode == 0


LOST = """
import sys
from pear_ros.core.estimator import DeviceLostError
from pear_ros.ros.node.node import main
from testing.tiny_pipeline import TinyPipeline
pipeline = TinyPipeline()
pipeline.fault = DeviceLostError("an illegal memory access: start it again")
status = main(build=lambda parameters: pipeline)
print("closed", pipeline.closed)
sys.exit(status)
"""


def test_node_that_lost_its_gpu_ends_with_a_sentence(client: Node) -> None:
    process = start("-p", "image_transport:=compressed", code=LOST)
    try:
        images = client.create_publisher(CompressedImage, "image/compressed", 1)
        client.create_subscription(HumanArray, "humans", lambda _: None, 1)
        jpeg = cv2.imencode(".jpg", picture(1))[1].tobytes()

        def ended() -> bool:
            images.publish(CompressedImage(header=header(3), format="jpeg", data=jpeg))
            return process.poll() is not None

        wait(client, ended)
        output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    finally:
        process.kill()
    assert process.returncode == 1
    assert output.count("start it again") == 1 and "Traceback" not in output, output
    assert "closed True" in output


def test_pipeline_that_cannot_be_built_ends_the_node_with_a_reason() -> None:
    process = start(code=NODE.replace("TinyPipeline()", "1 / 0"))
    output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert "Cannot start: division by zero" in output
    assert process.returncode == 1


def test_node_that_only_builds_is_done_without_waiting_for_images() -> None:
    process = start("-p", "build_only:=true")
    output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert "Estimator tiny/1" in output and "Everything is built" in output
    assert "Looking for people" not in output
    assert process.returncode == 0


def test_node_that_cannot_build_says_so() -> None:
    process = start("-p", "build_only:=true", code=NODE.replace("TinyPipeline()", "1 / 0"))
    output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert "Cannot start: division by zero" in output
    assert process.returncode == 1


def test_wrong_parameter_ends_the_node_with_a_reason() -> None:
    process = start("-p", "field_of_view:=0.0")
    output, _ = process.communicate(timeout=TIMEOUT_SECONDS)
    assert "Cannot start: " in output
    assert "field_of_view must be from 1 to 179, not 0" in output
    assert "Traceback" not in output, output
    assert process.returncode == 1
