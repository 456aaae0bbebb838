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

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
TIMEOUT_SECONDS = 20.0
RATE = 15.0  # images a second, of those who wave
STANDING = {0: (0, 0.1), 12: (0, -0.4), 16: (0.18, -0.35), 17: (-0.18, -0.35)}
ARM = {16: (0.2, -0.1), 18: (0.2, -0.1), 20: (0.2, 0.1)}
LEFT, RIGHT = (16, 18, 20), (17, 19, 21)

Motion = Callable[[float], dict[int, tuple[float, float]]]


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


def arm(joints: tuple[int, int, int], upper: float, lower: float) -> dict[int, Any]:
    """Return shoulder, elbow and wrist of an arm.

    Angles are in the plane of the chest, 0 upwards, to the person's left, the image's right.
    """
    shoulder = np.array(STANDING[joints[0]])
    elbow = shoulder + 0.28 * np.array([math.sin(upper), -math.cos(upper)])
    wrist = elbow + 0.25 * np.array([math.sin(lower), -math.cos(lower)])
    return dict(zip(joints, (shoulder, elbow, wrist), strict=True))


def waves(hertz: float = 1.5, swing: float = 0.5, joints: Any = RIGHT) -> Motion:
    """An upper arm held aside, a forearm that swings."""
    aside = -1.7 if joints is RIGHT else 1.7

    def at(t: float) -> dict[int, Any]:
        return arm(joints, aside, swing * math.sin(2 * math.pi * hertz * t))

    return at


def waves_aside(t: float) -> dict[int, Any]:
    """Upwards at first, then at about 35 degrees."""
    return arm(LEFT, 1.7, min(0.6, 2 * t) + 0.35 * math.sin(9 * t))


def waves_slower(t: float) -> dict[int, Any]:
    """And then quickly again."""
    return waves(hertz=0.5 if 2.5 < t < 6.0 else 1.5)(t)


def waves_straight(t: float) -> dict[int, Any]:
    angle = 0.5 * math.sin(2 * math.pi * t)
    return arm(LEFT, angle, angle)


def raises_arm(t: float) -> dict[int, Any]:
    """Within a second from hanging down to straight up, there it stays, and trembles."""
    angle = math.pi * max(0.0, 1.0 - t) + 0.1 * math.sin(20 * t)
    return arm(LEFT, angle, angle)


def jumps(t: float) -> dict[int, Any]:
    """Jumping jacks: both arms up and down."""
    angle = math.pi * (0.5 + 0.5 * math.cos(2 * math.pi * t))
    return arm(LEFT, angle, angle) | arm(RIGHT, -angle, -angle)


def swings_below(t: float) -> dict[int, Any]:
    """As one who waves, with the hand hanging down."""
    return arm(RIGHT, math.pi, math.pi + 0.6 * math.sin(9 * t))


def conducts_low(t: float) -> dict[int, Any]:
    """The forearm upright and swinging, but the hand below the shoulder."""
    return arm(RIGHT, math.pi, 0.6 * math.sin(9 * t))


def dangles(t: float) -> dict[int, Any]:
    """From an elbow above the head the forearm hangs down, the hand still above the shoulder."""
    return arm(RIGHT, -0.2, math.pi + 0.6 * math.sin(9 * t))


def beats(t: float) -> dict[int, Any]:
    """Waves, but lets the hand down for a moment again and again."""
    return waves(hertz=2.5)(t) if t % 0.6 < 0.4 else {}


def walks(t: float) -> dict[int, Any]:
    angle = 0.3 * math.sin(2 * math.pi * t)
    return arm(LEFT, math.pi - angle, math.pi - angle) | arm(RIGHT, math.pi, math.pi + angle)


def glimpses(t: float) -> dict[int, Any]:
    """Waves, but is seen for two swings at a time only."""
    return (
        waves(hertz=2.0)(t)
        if t % 1.0 < 0.6
        else {20: (math.nan, math.nan), 21: (math.nan, math.nan)}
    )


def figure(motion: Motion, t: float, turn: Rotation, metres: float, confidence: float) -> Human:
    """A person who moves before the camera, turned out of the image plane, 3 to 4 m away."""
    places = STANDING | arm(LEFT, math.pi, math.pi) | arm(RIGHT, math.pi, math.pi) | motion(t)
    joints = np.full((55, 3), np.nan)
    for joint, (x, y) in places.items():
        joints[joint] = turn.apply(metres * np.array([x, y, 0.0])) + np.array([t, 0.0, 4 - t / 4])
    one = human("h1")
    one.joints = joints.astype(np.float32).ravel()
    one.joint_confidence = np.full(55, confidence, np.float32)
    return one


def said(bench: Bench, waving: list[Any], frames: list[list[Human]]) -> list[str]:
    """Ids of people detected as waving in a sequence of images."""
    for frame, humans in enumerate(frames):
        bench.show(*humans, stamp=100.0 + frame / RATE)
    count = len(waving)
    bench.node.publisher.publish(String(data="end"))
    bench.wait(lambda: len(waving) > count and waving[-1].data == "end")
    return [message.data for message in waving[:-1]]


def sequence(
    motion: Motion,
    seconds: float = 3.0,
    turn: tuple[float, float, float] = (0, 0, 0),
    metres: float = 1.0,
    confidence: float = 0.8,
    state: int = Human.TRACKED,
) -> list[list[Human]]:
    turned = Rotation.from_rotvec(turn)
    times = np.arange(round(seconds * RATE)) / RATE
    frames = [[figure(motion, float(t), turned, metres, confidence)] for t in times]
    for (one,) in frames:
        one.tracking_state = state
    return frames


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(sequence(waves(joints=RIGHT)), id="right"),
        pytest.param(sequence(waves(joints=LEFT, hertz=2.5), confidence=math.nan), id="NaN"),
        pytest.param(sequence(waves_straight), id="whole arm"),
        pytest.param(sequence(waves(), turn=(0.0, 1.3, 0.0)), id="turned aside"),
        pytest.param(sequence(waves(), turn=(0.0, math.pi, 0.0)), id="from behind"),
        pytest.param(sequence(waves(), turn=(0.3, 0.0, 0.5)), id="leaning"),
        pytest.param(sequence(waves_aside), id="aside"),
        pytest.param(sequence(waves_slower, seconds=9.0), id="slower"),
        pytest.param(sequence(waves(), metres=0.25), id="small"),
    ],
)
def test_waving_is_published_once(
    example: Callable[[str, str], Bench], frames: list[list[Human]]
) -> None:
    bench = example("wave", "WaveDetector")
    assert said(bench, bench.listen(String, "waving"), frames) == ["h1"]


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(sequence(lambda t: {}), id="idle"),
        pytest.param(sequence(walks), id="walking"),
        pytest.param(sequence(raises_arm), id="raised arm"),
        pytest.param(sequence(jumps, seconds=4.0), id="jumping jacks"),
        pytest.param(sequence(swings_below), id="hanging arm"),
        pytest.param(sequence(conducts_low), id="low hand"),
        pytest.param(sequence(dangles), id="dangling hand"),
        pytest.param(sequence(beats), id="beating"),
        pytest.param(sequence(waves(swing=0.1)), id="trembling"),
        pytest.param(sequence(waves(hertz=0.3, swing=1.0), seconds=6.0), id="slow"),
        pytest.param(sequence(waves(), seconds=0.6), id="once"),
        pytest.param(sequence(waves(), confidence=0.1), id="not seen"),
        pytest.param(sequence(waves(), turn=(0.0, 0.0, 1.5)), id="lying"),
        pytest.param(sequence(waves(), state=Human.PREDICTED), id="predicted"),
        pytest.param(sequence(glimpses, seconds=6.0), id="glimpses"),
    ],
)
def test_other_movements_are_not_published(
    example: Callable[[str, str], Bench], frames: list[list[Human]]
) -> None:
    bench = example("wave", "WaveDetector")
    assert said(bench, bench.listen(String, "waving"), frames) == []


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
