# SPDX-License-Identifier: Apache-2.0
"""The bridge to ROS 4 HRI over real DDS, listened to as its tools listen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("hri_msgs", reason="needs hri_msgs")

from hri_msgs.msg import NormalizedRegionOfInterest2D, Skeleton2D
from sensor_msgs.msg import JointState
from tf2_msgs.msg import TFMessage

from pear_ros.core.people import TrackingState
from pear_ros.hri.joint_angles import ANGLES, joint_angles
from pear_ros.hri.skeleton import POINTS
from pear_ros.ros.bridges import hri_bridge
from pear_ros.ros.bridges.hri_bridge import HriBridge
from pear_ros.ros.running import StartError
from testing.bridge_listener import closed_at_end, humans
from testing.hri_listener import HriListener
from testing.open_people import JOINT, OpenPipeline, person, t_pose
from testing.ros_bench import Bench, image

KINDS = {
    "roi": NormalizedRegionOfInterest2D,
    "skeleton2d": Skeleton2D,
    "joint_states": JointState,
}


class Listener(HriListener):
    """Knows the topics below a body's name, too."""

    def listen_to_body(self, track_id: str) -> dict[str, list[Any]]:
        """What arrives below a body's name."""
        topics = {name: f"/humans/bodies/{track_id}/{name}" for name in KINDS}
        return {name: self.listen(KINDS[name], topic) for name, topic in topics.items()}

    def topics(self) -> set[str]:
        """Of bodies, those that the bridge offers."""
        offered = self.tool.get_publisher_names_and_types_by_node("hri_bridge", "/")
        space = "/humans/bodies/"
        return {name[len(space) :] for name, _ in offered if name.startswith(space)}


@pytest.fixture
def make_listener(executor: Any) -> Iterator[Callable[..., Listener]]:
    with closed_at_end(partial(Listener, executor)) as make:
        yield make


@pytest.fixture
def listener(make_listener: Callable[..., Listener]) -> Listener:
    return make_listener()


def body_topics(*ids: str) -> set[str]:
    return {"tracked", *(f"{track_id}/{name}" for track_id in ids for name in KINDS)}


def test_bodies_come_and_go(listener: Listener) -> None:
    one, two = person(t_pose()), person(t_pose(), (0.8, 0.0, 4.0), "h2")
    expected = humans(1, one, two)
    listener.send(expected)
    assert listener.tracked[0].header == expected.header
    assert listener.tracked[0].ids == ["h1", "h2"]
    listener.wait(lambda: listener.topics() == body_topics("h1", "h2"))

    lost = person(t_pose(), track_id="h1", state=TrackingState.LOST)
    predicted = person(t_pose(), track_id="h2", state=TrackingState.PREDICTED)
    listener.send(humans(2, lost, predicted))
    assert listener.tracked[1].ids == ["h2"]
    listener.wait(lambda: listener.topics() == body_topics("h2"))

    listener.send(humans(3))  # even if the image in which h2 was lost has not arrived
    assert listener.tracked[2].ids == []
    listener.wait(lambda: listener.topics() == body_topics())


def test_bridge_publishes_the_topics_of_a_body(listener: Listener) -> None:
    one = person(t_pose(left_elbow=(0.0, -1.0, 0.0)), (0.3, 0.1, 4.0))
    two = person(t_pose(), (-0.8, 0.0, 5.0), "h2")
    message = humans(12.25, one, two)
    listener.send(message)
    arrived = listener.listen_to_body("h1")
    listener.send(message)
    listener.wait(lambda: all(arrived.values()))

    (region,), (skeleton,), (state,) = arrived.values()
    assert region.header == skeleton.header == state.header == message.header
    roi = message.humans[0].roi
    corners = [region.xmin * 640, region.ymin * 480, region.xmax * 640, region.ymax * 480]
    edges = [roi.x_offset, roi.y_offset, roi.x_offset + roi.width, roi.y_offset + roi.height]
    assert corners == pytest.approx(edges, abs=1e-3)
    assert region.c == 0.75

    wrist = skeleton.skeleton[Skeleton2D.LEFT_WRIST]
    place = one.keypoints[JOINT["left_wrist"]]
    assert (wrist.x * 640 - 0.5, wrist.y * 480 - 0.5) == pytest.approx(tuple(place), abs=1e-2)
    assert wrist.c == 0.5

    assert state.name == [f"{name}_h1" for name in ANGLES]
    (angles,) = joint_angles(one.smplx.pose[None], one.joints[None])
    np.testing.assert_allclose(state.position, angles, atol=1e-6)
    assert state.position[state.name.index("l_elbow_h1")] == pytest.approx(1.0, abs=0.1)


def test_points_are_in_the_order_of_the_message() -> None:
    assert {name: getattr(Skeleton2D, name.upper()) for name in POINTS} == {
        name: index for index, name in enumerate(POINTS)
    }


def test_confidence_that_is_not_said_is_the_persons(listener: Listener) -> None:
    message = humans(1, person(t_pose()))
    message.humans[0].joint_confidence = np.full(55, np.nan, np.float32)
    listener.send(message)
    skeletons = listener.listen(Skeleton2D, "/humans/bodies/h1/skeleton2d")
    listener.send(message)
    listener.wait(lambda: skeletons)
    assert {point.c for point in skeletons[0].skeleton} == {0.75}


def test_bridge_leaves_out_what_is_unknown(listener: Listener) -> None:
    """A body without a place in space has a region and points in the image all the same."""
    transforms = listener.listen(TFMessage, "/tf")
    message = humans(1, person(t_pose()), person(t_pose(), track_id="h2"))
    message.humans[0].joints = np.full(165, np.nan, np.float32)
    listener.send(message)
    first, second = listener.listen_to_body("h1"), listener.listen_to_body("h2")
    listener.send(message)
    listener.wait(lambda: first["roi"] and first["skeleton2d"] and second["joint_states"])
    assert first["joint_states"] == []
    assert {t.child_frame_id for m in transforms for t in m.transforms} == {"body_h2"}


def test_frame_of_the_body(listener: Listener) -> None:
    transforms = listener.listen(TFMessage, "/tf")
    one = person(t_pose(), (0.3, 0.1, 4.0))
    message = humans(12.25, one)
    listener.send(message)
    listener.wait(lambda: transforms)
    (root,) = transforms[0].transforms
    assert (root.header, root.child_frame_id) == (message.header, "body_h1")
    place = root.transform.translation
    hips = one.joints[[JOINT["left_hip"], JOINT["right_hip"]]].mean(axis=0)
    assert (place.x, place.y, place.z) == pytest.approx(tuple(hips), abs=1e-6)


def test_frames_are_left_to_the_main_node(make_listener: Callable[..., Listener]) -> None:
    listener = make_listener(transforms=False)
    assert listener.tool.count_publishers("/tf") == 0
    listener.send(humans(1, person(t_pose())))


def test_silence_ends_all_bodies(
    make_listener: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hri_bridge, "_SILENCE_SECONDS", 0.3)
    listener = make_listener()
    listener.send(humans(1, person(t_pose())))
    listener.wait(lambda: len(listener.tracked) == 2)
    assert [list(message.ids) for message in listener.tracked] == [["h1"], []]
    listener.wait(lambda: listener.topics() == body_topics())


def test_without_hri_msgs_one_sentence_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hri_bridge, "IdsList", None)
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    with pytest.raises(StartError, match="sudo apt install ros-jazzy-hri-msgs"):
        HriBridge()


def test_from_the_node_to_the_tool(make_bench: Callable[..., Bench], listener: Listener) -> None:
    """Images go into the main node, bodies come out of the bridge."""
    bench = make_bench(pipeline=OpenPipeline())
    bench.wait(lambda: bench.node.watched.humans)
    transforms = listener.listen(TFMessage, "/tf", publishers=2)
    bench.publish(image(12.25, 0, 1))
    bench.wait_for(1, listener.tracked, transforms)
    assert listener.tracked[0].ids == ["h1", "h2"]
    states = listener.listen(JointState, "/humans/bodies/h2/joint_states")
    bench.publish(image(12.5, 1))
    bench.wait_for(1, states)
    assert listener.tracked[1].ids == ["h2"]
    stretched = dict(zip(states[0].name, states[0].position, strict=True))
    assert stretched["l_p_shoulder_h2"] == pytest.approx(np.pi / 2, abs=0.05)
    assert [t.header.stamp.sec for m in transforms for t in m.transforms] == [12, 12, 12]
