# SPDX-License-Identifier: Apache-2.0
"""The documentation's examples over real DDS, with synthetic moving people."""

from __future__ import annotations

import math
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

import rclpy
from geometry_msgs.msg import Point, Pose, TwistStamped
from rcl_interfaces.srv import ListParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from rclpy.time import Time
from scipy.spatial.transform import Rotation
from std_msgs.msg import Bool, Float64, Header, String

from pear_msgs.msg import Human, HumanArray
from testing.waving_people import RATE, Motion, figure, walks, waves

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
TIMEOUT_SECONDS = 20.0


def human(
    id: str,
    x: float = 0.0,
    z: float = 3.0,
    state: int = Human.TRACKED,
    source: int = Human.DEPTH_MEASURED,
    nearest: float | None = None,
) -> Human:
    """A person with all joints at (x, 0, z), except one wrist at `nearest` from the camera."""
    joints = np.tile(np.array([x, 0.0, z], np.float32), (55, 1))
    if nearest is not None:
        joints[20] = (0.0, 0.0, nearest)
    return Human(
        id=id,
        tracking_state=state,
        depth_source=source,
        root_pose=Pose(position=Point(x=x, z=z)),
        joints=joints.ravel(),
        joint_confidence=np.full(55, 0.8, np.float32),
    )


class Bench:
    """An example's node, and a client that publishes people and collects its results."""

    def __init__(self, executor: SingleThreadedExecutor, example: str, name: str) -> None:
        self.seen = 0

        def on_humans(node: Any, message: HumanArray) -> None:
            kind.on_humans(node, message)
            self.seen += 1

        kind = runpy.run_path(str(EXAMPLES / f"{example}.py"))[name]
        self.executor = executor
        self.client = Node("client")
        self.node = type(name, (kind,), {"on_humans": on_humans})()
        for node in (self.client, self.node):
            executor.add_node(node)
        self.humans = self.client.create_publisher(HumanArray, "humans", QoSProfile(depth=1))
        self.wait(lambda: self.humans.get_subscription_count() == 1)

    def wait(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not condition():
            assert time.monotonic() < deadline, "timed out"
            self.executor.spin_once(timeout_sec=0.02)

    def listen(self, kind: type, topic: str, depth: int = 10) -> list[Any]:
        """Subscribe and return the list of received messages once it is connected."""
        arrived: list[Any] = []
        self.client.create_subscription(kind, topic, arrived.append, QoSProfile(depth=depth))
        self.wait(
            lambda: self.node.count_subscribers(topic) and self.client.count_publishers(topic)
        )
        return arrived

    def show(self, *humans: Human, age: float = 0.0, stamp: float | None = None) -> None:
        """Publish these people, `age` seconds old or of `stamp`, until they are received."""
        if stamp is None:
            stamp = self.client.get_clock().now().nanoseconds / 1e9 - age
        header = Header(stamp=Time(nanoseconds=round(stamp * 1e9)).to_msg())
        count = self.seen
        self.humans.publish(HumanArray(header=header, humans=list(humans)))
        self.wait(lambda: self.seen > count)

    def next(self, arrived: list[Any]) -> Any:
        """Collect what is published from now on."""
        arrived.clear()
        self.wait(lambda: len(arrived) > 1)  # the first may have been under way
        return arrived[-1]

    def close(self) -> None:
        for node in (self.client, self.node):
            self.executor.remove_node(node)
            node.destroy_node()


@pytest.fixture(scope="module")
def executor() -> Iterator[SingleThreadedExecutor]:
    """In the default context, which the examples use."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    executor = SingleThreadedExecutor()
    yield executor
    executor.shutdown()
    rclpy.shutdown()


@pytest.fixture
def example(executor: SingleThreadedExecutor) -> Iterator[Callable[[str, str], Bench]]:
    """Runs a node of an example, given the file's name and the class's."""
    benches: list[Bench] = []

    def make(example: str, name: str) -> Bench:
        benches.append(Bench(executor, example, name))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()


# --- follower ---


class Drive:
    """The follower's commands for people."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.commands = bench.listen(TwistStamped, "cmd_vel")

    def __call__(self, *humans: Human, age: float = 0.0) -> tuple[float, float]:
        """(forward, left) m/s and rad/s after an image."""
        if humans:
            self.bench.show(*humans, age=age)
        twist = self.bench.next(self.commands).twist
        assert (twist.linear.y, twist.linear.z, twist.angular.x, twist.angular.y) == (0, 0, 0, 0)
        return twist.linear.x, twist.angular.z


@pytest.fixture
def drive(example: Callable[[str, str], Bench]) -> Drive:
    return Drive(example("follower", "Follower"))


def test_follower_turns_towards_the_person_and_keeps_its_distance(drive: Drive) -> None:
    forward, left = drive(human("h1", x=0.3, z=2.0))
    assert left == pytest.approx(-1.5 * math.atan2(0.3, 2.0))  # on the right: clockwise
    assert forward == pytest.approx(0.8 * (math.hypot(0.3, 2.0) - 1.5))
    assert drive(human("h1", x=-5.0, z=5.0)) == (0.5, 1.0)  # no faster than the limits
    assert drive(human("h1", z=0.3)) == (-0.2, 0.0)
    assert drive(human("h1", z=1.5)) == (0.0, 0.0)
    command = drive.commands[-1]
    assert command.header.frame_id == "base_link"
    age = drive.bench.client.get_clock().now() - Time.from_msg(command.header.stamp)
    assert 0 <= age.nanoseconds < 5e9  # a driver refuses commands that are old


def test_follower_stops_when_no_person_is_observed(drive: Drive) -> None:
    assert drive(human("h1")) == (0.5, 0.0)
    assert drive(human("h1"), age=3.0) == (0.0, 0.0)
    assert drive(human("h1")) == (0.5, 0.0)
    begin = time.monotonic()
    drive.bench.wait(lambda: drive() == (0.0, 0.0))  # silence: the camera has stopped
    assert time.monotonic() - begin > 0.3
    for unobserved in (
        human("h1", state=Human.PREDICTED),
        human("h1", state=Human.LOST),
        human("h2", state=Human.NEW),
        human("h3", x=math.nan),
    ):
        assert drive(unobserved) == (0.0, 0.0)


def test_follower_keeps_to_one_person(drive: Drive) -> None:
    far = human("h1", x=-1.0, z=4.0)
    near, nearer = human("h2", x=1.0, z=3.0), human("h3", x=0.5, z=2.0)
    assert drive(far)[1] > 0.0
    assert drive(far, near)[1] > 0.0
    # Occluded for a moment: no other person is followed, and the last command holds.
    assert drive(human("h1", x=-1.0, z=4.0, state=Human.PREDICTED), near)[1] > 0.0
    assert drive.bench.node.followed == "h1"
    assert drive(human("h1", state=Human.LOST), near, nearer)[1] < 0.0
    assert drive.bench.node.followed == "h3"
    drive(far, near)
    assert drive.bench.node.followed == "h2"


# --- wave ---


def sequence(motion: Motion, seconds: float = 3.0, state: int = Human.TRACKED) -> list[list[Human]]:
    times = np.arange(round(seconds * RATE)) / RATE
    frames = [[human("h1", state=state)] for _ in times]
    for t, (one,) in zip(times, frames, strict=True):
        one.joints = figure(motion, float(t), Rotation.identity()).ravel()
    return frames


def said(bench: Bench, waving: list[Any], frames: list[list[Human]]) -> list[str]:
    """Ids of people detected as waving in a sequence of images."""
    for frame, humans in enumerate(frames):
        bench.show(*humans, stamp=100.0 + frame / RATE)
    count = len(waving)
    bench.node.publisher.publish(String(data="end"))
    bench.wait(lambda: len(waving) > count and waving[-1].data == "end")
    return [message.data for message in waving[:-1]]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        pytest.param(sequence(waves()), ["h1"], id="waving"),
        pytest.param(sequence(walks), [], id="walking"),
        pytest.param(sequence(waves(), state=Human.PREDICTED), [], id="predicted"),
    ],
)
def test_waving_is_published_once(
    example: Callable[[str, str], Bench], frames: list[list[Human]], expected: list[str]
) -> None:
    bench = example("wave", "WaveDetector")
    assert said(bench, bench.listen(String, "waving"), frames) == expected


def test_waving_of_several_people_with_pauses_and_gaps(
    example: Callable[[str, str], Bench],
) -> None:
    def pauses(t: float) -> dict[int, Any]:
        return waves()(t) if t < 2.5 or t > 5.5 else {}

    frames = sequence(pauses, seconds=8.0)
    for frame, others in enumerate(sequence(waves(), seconds=8.0)):
        if frame % 5 == 0:
            others[0].tracking_state = Human.PREDICTED
            others[0].joints = np.full(165, np.nan, np.float32)
        others[0].id = "h2"
        frames[frame] += others
    bench = example("wave", "WaveDetector")
    assert sorted(said(bench, bench.listen(String, "waving"), frames)) == ["h1", "h1", "h2"]
    bench.show(human("h2", state=Human.LOST), stamp=109.0)
    assert not bench.node.tracks


# --- distance keeping ---


class Distances:
    """The results for an image."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.nearest = bench.listen(Float64, "nearest_person", depth=1)
        self.zones = [bench.listen(Bool, zone, depth=1) for zone in ("warning", "stop")]

    def now(self) -> tuple[float, bool, bool]:
        """(nearest, warning, stop)."""
        for _ in range(2):  # at first, what was under way may come
            for arrived in (self.nearest, *self.zones):
                arrived.clear()
            self.bench.node.publish()
            self.bench.wait(lambda: all((self.nearest, *self.zones)))
        return self.nearest[-1].data, *(zone[-1].data for zone in self.zones)

    def __call__(self, *humans: Human, age: float = 0.0) -> tuple[float, bool, bool]:
        self.bench.show(*humans, age=age)
        return self.now()


@pytest.fixture
def keep(example: Callable[[str, str], Bench]) -> Distances:
    return Distances(example("distance_keeping", "DistanceKeeper"))


def test_zones_are_left_later_than_entered(keep: Distances) -> None:
    distances = (2.5, 2.1, 1.9, 2.1, 2.3, 1.1, 0.9, 1.1, 1.3)
    reported = [keep(human("h1", nearest=metres)) for metres in distances]
    np.testing.assert_allclose([nearest for nearest, *_ in reported], distances, rtol=1e-6)
    assert [zones for _, *zones in reported] == [
        *([False, False], [False, False], [True, False], [True, False], [False, False]),
        *([True, False], [True, True], [True, True], [True, False]),
    ]


def test_the_nearest_point_of_all_people_counts(keep: Distances) -> None:
    far, near = human("h1", z=9.0), human("h2", x=2.0, z=6.0, nearest=1.5)
    assert keep(far, near) == (1.5, True, False)
    assert keep(far, human("h2", z=1.5, state=Human.PREDICTED))[0] == 1.5
    assert keep(far, human("h2", z=0.5, state=Human.LOST)) == (9.0, False, False)
    assert keep() == (math.inf, False, False)
    partly = human("h1")
    partly.joints[:150] = math.nan
    assert keep(partly) == (3.0, False, False)


def test_a_person_at_the_edge_is_at_first_in_the_zone(keep: Distances) -> None:
    assert keep(human("h1", nearest=1.1))[1:] == (True, True)


def test_small_people_are_near_where_depth_is_assumed(keep: Distances) -> None:
    source = Human.DEPTH_ASSUMED
    assert keep(human("h1", z=3.0, source=source)) == (pytest.approx(1.8), True, False)
    assert keep(human("h1", z=3.0, source=Human.DEPTH_BODY_HEIGHT)) == (3.0, False, False)


def test_what_is_not_known_means_stop(keep: Distances) -> None:
    unknown = (pytest.approx(math.nan, nan_ok=True), True, True)
    assert keep.now() == unknown  # nothing has come yet
    free = (math.inf, False, False)
    for blind in (
        lambda: keep(human("h1", x=math.nan), human("h2", z=5.0)),
        lambda: keep(age=2.0),
        lambda: keep(age=-2.0),
    ):
        assert keep() == free
        assert blind() == unknown
    assert keep() == free
    for arrived in keep.zones:
        arrived.clear()
    keep.bench.wait(lambda: all(a and a[-1].data for a in keep.zones))  # the timer reports silence
    assert keep.now() == unknown


# --- all ---


def test_examples_run_and_end_quietly(executor: SingleThreadedExecutor) -> None:
    """As the documentation starts them."""
    names = {"follower": "follower", "wave": "wave_detector", "distance_keeping": "distance_keeper"}
    processes = [
        subprocess.Popen(
            [sys.executable, EXAMPLES / f"{name}.py", "--ros-args", "-r", "humans:=/camera/humans"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ,
        )
        for name in names
    ]
    client = Node("client")
    executor.add_node(client)
    try:
        for node in names.values():
            asking = client.create_client(ListParameters, f"/{node}/list_parameters")
            assert asking.wait_for_service(TIMEOUT_SECONDS)
            answer = asking.call_async(ListParameters.Request())
            executor.spin_until_future_complete(answer, TIMEOUT_SECONDS)
            assert answer.done(), f"{node} does not spin"
        assert client.count_subscribers("/camera/humans") == len(names)
        for process in processes:
            process.send_signal(signal.SIGINT)
        outputs = [process.communicate(timeout=TIMEOUT_SECONDS)[0] for process in processes]
    finally:
        executor.remove_node(client)
        client.destroy_node()
        for process in processes:
            process.kill()
    assert outputs == ["", "", ""]
    assert [process.returncode for process in processes] == [0, 0, 0]
