# SPDX-License-Identifier: Apache-2.0
"""`pear doctor` on a ROS network: findings about real publishers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

import rclpy
from builtin_interfaces.msg import Time
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header

from pear_ros.cli.doctor import probes
from pear_ros.cli.doctor.findings import Finding, Level
from pear_ros.cli.doctor.network import NetworkObserver, observe
from pear_ros.cli.doctor.network_report import (
    Calibration,
    ClockReport,
    NetworkReport,
    Publisher,
    QosConflict,
    TopicReport,
)
from pear_ros.cli.doctor.topics import check_topics
from pear_ros.ros.topics import CAMERA_INFO_TYPE, HUMANS_TYPE, IMAGE_TYPE, camera_info_topic

OK, WARN, FAIL = Level.OK, Level.WARN, Level.FAIL
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
RATE = 20.0


class Cameras(Node):
    """Publishes images on several topics, some of them with problems."""

    def __init__(self, context: rclpy.Context) -> None:
        super().__init__("cameras", context=context)
        images = {
            "/good/image_raw": ("rgb8", 3),
            "/odd/image_raw": ("16UC3", 6),
            "/bare/image_raw": ("mono8", 1),
            "/good/depth": ("16UC1", 2),
        }
        self._images = {
            topic: (self.create_publisher(ImageMessage, topic, BEST_EFFORT), *layout)
            for topic, layout in images.items()
        }
        self._info = self.create_publisher(CameraInfo, "/good/camera_info", 1)
        self.create_publisher(ImageMessage, "/silent/image_raw", 1)
        # Neither receives anything: one has no publisher, the other requests incompatible QoS.
        self.create_subscription(ImageMessage, "/awaited/image", lambda _: None, BEST_EFFORT)
        self.create_subscription(ImageMessage, "/good/image_raw", lambda _: None, 1)
        self.create_timer(1.0 / RATE, self._publish)

    def _publish(self) -> None:
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id="optical")
        for publisher, encoding, size in self._images.values():
            image = ImageMessage(header=header, height=4, width=8, encoding=encoding, step=8 * size)
            image.data = bytes(4 * 8 * size)
            publisher.publish(image)
        info = CameraInfo(header=header, height=4, width=8, distortion_model="plumb_bob")
        info.k = [10.0, 0.0, 4.0, 0.0, 10.0, 2.0, 0.0, 0.0, 1.0]
        info.d = [0.1, 0.0, 0.0, 0.0, 0.0]
        self._info.publish(info)


@pytest.fixture(scope="module")
def observed() -> Iterator[NetworkReport]:
    """The report about Cameras."""
    context = rclpy.Context()
    rclpy.init(context=context)
    executor = SingleThreadedExecutor(context=context)
    node = Cameras(context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield observe(3.0)
    executor.shutdown()
    thread.join()
    node.destroy_node()
    rclpy.shutdown(context=context)


def checked(report: NetworkReport) -> dict[str, Finding]:
    return {finding.id: finding for finding in check_topics(report, 3.0)}


def test_camera_is_described_by_rate_encoding_and_qos(observed: NetworkReport) -> None:
    found = checked(observed)
    good = found["topics./good/image_raw"]
    assert good.level is OK, good
    assert good.text.startswith("rgb8 8 x 4, ")
    assert "from /cameras (best effort, volatile), frame optical" in good.text
    assert 0.3 * RATE < good.details["rate"] < 1.5 * RATE
    assert good.details["subscribers"] == 1, "the doctor does not count itself"
    assert abs(good.details["age"]) < 1.0
    info = found["topics./good/image_raw:camera_info"]
    assert info.level is OK and "plumb_bob" in info.text
    assert NetworkReport.from_dict(json.loads(observed.to_json())) == observed


def test_problems_of_topics_are_reported(observed: NetworkReport) -> None:
    found = checked(observed)
    odd = found["topics./odd/image_raw"]
    assert odd.level is FAIL and "16UC3" in odd.text and "not supported" in odd.text
    assert found["topics./silent/image_raw"].level is FAIL
    awaited = found["topics./awaited/image"]
    assert awaited.level is WARN and "no node publishes" in awaited.text
    bare = found["topics./bare/image_raw:camera_info"]
    assert bare.level is WARN and "/good/camera_info" in bare.advice
    depth = found["topics./good/depth"]
    assert depth.level is OK and "depth" in depth.text
    assert found["topics.clock"].level is OK
    assert "/cameras" in observed.nodes
    assert not any("doctor" in node for node in observed.nodes)


def test_qos_conflicts_are_reported(observed: NetworkReport) -> None:
    (conflict,) = [one.text for one in observed.conflicts if "/good/image_raw" in one.text]
    assert "/cameras receives nothing from /cameras" in conflict and "reliab" in conflict.lower()
    assert checked(observed)["topics.qos"].level is FAIL


PUBLISHER = Publisher("/camera", "RELIABLE", "VOLATILE")
CALIBRATION = Calibration("optical", "plumb_bob")
IMAGE = TopicReport(
    topic="/image",
    type="sensor_msgs/msg/Image",
    publishers=(PUBLISHER,),
    messages=30,
    rate=30.0,
    bytes=1000,
    age=0.02,
    frame_id="optical",
    encoding="rgb8",
    width=8,
    height=4,
    readable=True,
    camera_info=CALIBRATION,
)


def topic(**changed: Any) -> TopicReport:
    return replace(IMAGE, **changed)


def report(*topics: TopicReport, **clock: Any) -> NetworkReport:
    return NetworkReport(
        nodes=("/camera",),
        topics=topics,
        clock=ClockReport(**clock),
        loss_remedy="enlarge the buffers",
    )


def test_report_comes_back_from_json() -> None:
    empty = TopicReport(topic="/none", type=HUMANS_TYPE)
    sent = replace(
        report(IMAGE, empty, publishers=(PUBLISHER,), messages=3),
        camera_infos=("/camera_info",),
        conflicts=(QosConflict("a receives nothing from b", "change it"),),
    )
    assert NetworkReport.from_dict(json.loads(sent.to_json())) == sent


@pytest.mark.parametrize(
    ("changed", "level", "expected"),
    [
        ({}, OK, "30.0 Hz"),
        ({"publishers": (PUBLISHER,) * 2}, WARN, "several nodes publish it"),
        ({"lost": 7}, WARN, "7 messages were lost"),
        ({"age": 12.5}, WARN, "12.5 s older"),
        ({"age": -2.0}, WARN, "2.0 s newer"),
        ({"problem": "rows of 1 byte"}, FAIL, "rows of 1 byte"),
        ({"messages": 1, "rate": None}, OK, "1 message"),
    ],
)
def test_image_topic_findings(changed: dict[str, Any], level: Level, expected: str) -> None:
    finding = checked(report(topic(**changed)))["topics./image"]
    assert finding.level is level and expected in finding.text
    assert finding.advice or level is OK


@pytest.mark.parametrize(
    ("info", "level"),
    [
        (None, WARN),
        (Calibration("optical", "", False, "the camera is not calibrated (K[0] is 0)"), WARN),
        (Calibration("another"), WARN),
    ],
)
def test_calibration(info: Calibration | None, level: Level) -> None:
    finding = checked(report(topic(camera_info=info)))["topics./image:camera_info"]
    assert finding.level is level and finding.advice


@pytest.mark.parametrize(
    ("clock", "level"),
    [
        ({}, OK),
        ({"publishers": (PUBLISHER,), "messages": 10}, OK),
        ({"publishers": (PUBLISHER,)}, WARN),
        ({"publishers": (PUBLISHER,), "messages": 10, "backwards": True}, WARN),
        ({"publishers": (PUBLISHER,) * 2, "messages": 10}, FAIL),
    ],
)
def test_clock(clock: dict[str, Any], level: Level) -> None:
    assert checked(report(**clock))["topics.clock"].level is level


def test_simulated_stamps_are_not_compared_with_this_clock() -> None:
    simulated = report(topic(age=1e9), publishers=(PUBLISHER,), messages=10)
    assert checked(simulated)["topics./image"].level is OK


def test_humans_topic_findings() -> None:
    def level(**changed: Any) -> Level:
        humans = topic(topic="/humans", type="pear_msgs/msg/HumanArray", **changed)
        return checked(report(humans))["topics./humans"].level

    assert level() is OK
    assert level(publishers=(PUBLISHER,) * 2) is WARN
    assert level(messages=0, rate=None) is WARN
    assert level(publishers=()) is WARN


def test_overlays_are_not_cameras() -> None:
    pear = (replace(PUBLISHER, node="/pear"),)
    humans = topic(topic="/humans", type="pear_msgs/msg/HumanArray", publishers=pear)
    overlay = topic(topic="/overlay", publishers=pear, messages=0, camera_info=None)
    awaited = topic(publishers=(), subscribers=1)
    found = checked(report(humans, overlay, awaited))
    assert "topics.images" in found and found["topics./image"].level is WARN
    assert not any("overlay" in id for id in found)
    found = checked(report(humans, overlay, topic()))
    assert "topics.images" not in found and found["topics./image"].level is OK


def test_empty_network_is_a_warning() -> None:
    nothing = checked(replace(report(), nodes=()))["topics.images"]
    assert nothing.level is WARN and "ROS_DOMAIN_ID" in nothing.advice
    assert "ROS_DOMAIN_ID" not in checked(report())["topics.images"].advice


class Graph:
    """A ROS graph with one publisher on each of four image topics, in place of a node."""

    topics = ("/corrupt/image", "/cut/image", "/good/image", "/refused/image")

    def get_fully_qualified_name(self) -> str:
        return "/doctor"

    def get_topic_names_and_types(self) -> list[tuple[str, list[str]]]:
        return [(topic, [IMAGE_TYPE]) for topic in self.topics]

    def get_node_names_and_namespaces(self) -> list[tuple[str, str]]:
        return [("camera", "/")]

    def get_publishers_info_by_topic(self, topic: str) -> list[Any]:
        qos = QoSProfile(depth=1)
        return [SimpleNamespace(node_name="camera", node_namespace="/", qos_profile=qos)]

    def get_subscriptions_info_by_topic(self, topic: str) -> list[Any]:
        return []


def test_error_of_one_topic_is_reported_beside_the_other_topics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    callbacks: dict[str, Any] = {}

    def subscribe(node: Any, kind: Any, topic: str, callback: Any, *_: Any, **__: Any) -> Any:
        if topic == "/refused/image":
            raise RuntimeError("no type support")
        callbacks[topic] = callback
        return SimpleNamespace(follow=lambda reliability: None)

    monkeypatch.setattr("pear_ros.cli.doctor.network.FollowingSubscription", subscribe)
    observer = NetworkObserver(Graph())  # type: ignore[arg-type]
    observer.subscribe()
    image = ImageMessage(height=4, width=8, encoding="rgb8", step=24, data=bytes(96))
    message = serialize_message(image)
    callbacks["/good/image"](message)
    callbacks["/corrupt/image"](message[:20])
    callbacks["/cut/image"](b"\0\1")
    observer.subscribe()

    observed = observer.report()
    assert NetworkReport.from_dict(json.loads(observed.to_json())) == observed
    found = checked(observed)
    assert observed.topics[0].topic == "/good/image" and len(observed.topics) == 1
    assert found["topics./good/image"].text.startswith("rgb8 8 x 4")
    for name in ("/corrupt/image", "/cut/image", "/refused/image"):
        assert found[f"topics.{name}"].level is FAIL
    assert "no type support" in found["topics./refused/image"].text


def test_image_that_cannot_be_decoded_is_not_compared_with_its_calibration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    callbacks: dict[str, Any] = {}

    class WithInfo(Graph):
        topics = ("/camera/image",)

        def get_topic_names_and_types(self) -> list[tuple[str, list[str]]]:
            info = ("/camera/camera_info", [CAMERA_INFO_TYPE])
            return [*super().get_topic_names_and_types(), info]

    def subscribe(node: Any, kind: Any, topic: str, callback: Any, *_: Any, **__: Any) -> Any:
        callbacks[topic] = callback
        return SimpleNamespace(follow=lambda reliability: None)

    monkeypatch.setattr("pear_ros.cli.doctor.network.FollowingSubscription", subscribe)
    observer = NetworkObserver(WithInfo())  # type: ignore[arg-type]
    observer.subscribe()
    callbacks["/camera/image"](serialize_message(ImageMessage(encoding="rgb8")))
    info = CameraInfo(height=480, width=640)
    info.k = [500.0, 0.0, 320.0, 0.0, 500.0, 240.0, 0.0, 0.0, 1.0]
    callbacks["/camera/camera_info"](info)
    found = checked(observer.report())
    assert found["topics./camera/image"].level is FAIL
    assert not [finding for finding in found.values() if "0 x 0:" in finding.text]
    assert "topics./camera/image:camera_info" not in found


def test_camera_info_topic_is_beside_the_image() -> None:
    assert camera_info_topic("/camera/image_raw") == "/camera/camera_info"
    assert camera_info_topic("/camera/image_raw/compressed") == "/camera/camera_info"
    assert camera_info_topic("/camera/depth/compressedDepth") == "/camera/camera_info"
    assert camera_info_topic("/image") == "/camera_info"


@pytest.mark.parametrize("length", [3, 1000])
def test_clock_that_jumps_back_is_detected(length: int) -> None:
    context = rclpy.Context()
    rclpy.init(context=context)
    node = Node("player", context=context)
    publisher = node.create_publisher(Clock, "/clock", 10)
    done = threading.Event()

    def play() -> None:
        for second in cycle(range(length)):
            publisher.publish(Clock(clock=Time(sec=second)))
            if done.wait(0.02):
                return

    thread = threading.Thread(target=play)
    thread.start()
    try:
        clock = observe(1.5).clock
        assert clock.messages > 3
        assert clock.backwards == (length == 3)
    finally:
        done.set()
        thread.join()
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_node_messages_and_middleware_of_this_environment() -> None:
    assert probes.pear_msgs() == {}
    assert probes.node() == {}
    assert probes.cv_bridge().keys() >= {"works"}


def test_pear_msgs_probe_detects_another_version() -> None:
    program = """
import builtins, sys
from pear_ros.cli.doctor import probes

def patched(name, *rest, **keywords):
    module = imported(name, *rest, **keywords)
    if name == "pear_ros.ros.conversion.messages":
        human = module.Human
        module.Human = lambda **fields: human(**fields, weight=1.0)
    return module

imported, builtins.__import__ = builtins.__import__, patched
sys.exit(probes.main(["pear_msgs"]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "AssertionError" in json.loads(done.stdout)["error"]


def test_doctor_as_a_process_prints_json(tmp_path: Path) -> None:
    """The command with a missing middleware and with libraries that fail to import."""
    for name in ("torch", "onnxruntime", "openvino", "numba", "onnx", "onnxscript"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('libcudnn.so.9 is missing')")
    command = [sys.executable, "-m", "pear_ros.cli", "doctor", "--json", "--seconds", "0.5"]
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    environment = {"RMW_IMPLEMENTATION": "rmw_missing_cpp", "PYTHONPATH": path}
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert done.returncode == 1 and not done.stderr, done.stderr
    checks = {check["id"]: check for check in json.loads(done.stdout)["findings"]}
    assert checks["library.numpy"]["level"] == "ok"
    assert checks["library.numpy"]["details"]["version"]
    assert checks["library.torch"]["level"] == "warn"
    assert "libcudnn" in checks["library.torch"]["text"]
    assert checks["ros.rmw"]["level"] == "fail"
    assert "rmw_missing_cpp" in checks["ros.rmw"]["text"]
    assert checks["topics.images"]["level"] == "fail"
    assert str(Path.home()) not in done.stdout
