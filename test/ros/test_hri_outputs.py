# SPDX-License-Identifier: Apache-2.0
"""What the bridge to ROS 4 HRI publishes on request, over real DDS."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("hri_msgs", reason="needs hri_msgs")

from geometry_msgs.msg import PointStamped, PoseStamped, TwistStamped
from hri_msgs.msg import (
    BodyPosture,
    EngagementLevel,
    FacialActionUnits,
    Gaze,
    Gesture,
    IdsList,
    NormalizedRegionOfInterest2D,
)
from scipy.spatial.transform import Rotation
from std_msgs.msg import Bool, String
from tf2_msgs.msg import TFMessage

from pear_msgs.msg import BodyModelInfo
from pear_ros.core.people import Array, Person, TrackingState
from pear_ros.hri.engagement import Level
from pear_ros.hri.gestures import Gesture as GestureKind
from pear_ros.ros.bridges import hri_bridge
from testing.acting_people import GESTURES
from testing.bridge_listener import (
    CAMERA_HEIGHT,
    LATCHED,
    camera_in_odom,
    closed_at_end,
    humans,
)
from testing.hri_listener import HriListener
from testing.open_people import JOINT, open_body, person, t_pose


class Listener(HriListener):
    """Knows the topics of people, too."""

    def topics(self) -> set[str]:
        """Topics of people that the bridge offers."""
        offered = self.tool.get_publisher_names_and_types_by_node("hri_bridge", "/")
        return {name for name, _ in offered if name.startswith("/humans/")}


@pytest.fixture
def make_listener(executor: Any) -> Iterator[Callable[..., Listener]]:
    with closed_at_end(partial(Listener, executor)) as make:
        yield make


def acting(name: str, seed: int = 200) -> Person:
    """A person who makes a gesture, facing the camera."""
    pose = GESTURES[name](np.random.default_rng(seed)).seen()[0]
    return person(pose, (0.0, 0.0, 3.0))


def numbers(point: Any) -> tuple[float, float, float]:
    return point.x, point.y, point.z


def test_position_and_velocity_in_the_cameras_frame(make_listener: Callable[..., Listener]) -> None:
    listener = make_listener(motion=True)
    listener.send(humans(1.0, person(t_pose())))
    position = listener.listen(PointStamped, "/humans/bodies/h1/position")
    velocity = listener.listen(TwistStamped, "/humans/bodies/h1/velocity")
    listener.send(humans(1.5, person(t_pose(), (0.0, 0.0, 4.0))))
    listener.send(humans(2.0, person(t_pose(), (0.2, 0.0, 3.9))))
    listener.wait(lambda: len(position) >= 2 and velocity)
    hips = person(t_pose(), (0.2, 0.0, 3.9)).joints[1:3].mean(axis=0)
    assert numbers(position[-1].point) == pytest.approx(tuple(hips), abs=1e-5)
    assert position[-1].header == humans(2.0).header
    assert len(velocity) == 1  # one position gives none
    assert numbers(velocity[0].twist.linear) == pytest.approx((0.4, 0.0, -0.2), abs=1e-5)


def test_velocity_in_a_fixed_frame_is_not_that_of_the_robot(
    make_listener: Callable[..., Listener],
) -> None:
    listener = make_listener(motion=True, target_frame="odom")
    listener.send(humans(0.5, person(t_pose())))
    position = listener.listen(PointStamped, "/humans/bodies/h1/position")
    velocity = listener.listen(TwistStamped, "/humans/bodies/h1/velocity")
    listener.send(humans(0.9, person(t_pose())))  # no transform yet: nothing is published
    drives = (camera_in_odom(1.0 + step / 4, x=step / 4) for step in range(3))
    listener.publish_frames(*drives)
    for step in range(3):  # the robot drives towards a person who stands
        listener.send(humans(1.0 + step / 4, person(t_pose(), (0.0, 0.0, 4.0 - step / 4))))
    listener.wait(lambda: len(position) == 3 and len(velocity) == 2)
    assert {message.header.frame_id for message in position} == {"odom"}
    hips = person(t_pose(), (0.0, 0.0, 4.0)).joints[1:3].mean(axis=0)
    expected = (hips[2], -hips[0], CAMERA_HEIGHT - hips[1])
    for message in position:
        assert numbers(message.point) == pytest.approx(expected, abs=1e-4)
    for message in velocity:
        assert numbers(message.twist.linear) == pytest.approx((0.0, 0.0, 0.0), abs=1e-3)


def test_body_is_described_once_and_its_links_follow(
    make_listener: Callable[..., Listener],
) -> None:
    listener = make_listener(description=True)
    transforms = listener.listen(TFMessage, "/tf", publishers=2)
    listener.send(humans(1.0, person(t_pose())))
    texts = listener.listen(String, "/humans/bodies/h1/urdf", profile=LATCHED)
    listener.send(humans(1.5, person(t_pose())))
    listener.wait(lambda: texts and len(transforms) >= 4)
    assert len(texts) == 1
    robot = ElementTree.fromstring(texts[0].data)
    parameter = listener.bridge.get_parameter("human_description_h1")
    assert parameter.get_parameter_value().string_value == texts[0].data
    drawn = {link.get("name") for link in robot.findall("link")}
    known = {t.child_frame_id for message in transforms for t in message.transforms}
    assert known == drawn
    listener.send(humans(2.0))
    assert not listener.bridge.has_parameter("human_description_h1")


@pytest.mark.parametrize(
    ("name", "constant"),
    [
        ("NONE", Gesture.OTHER),
        ("BOTH_HANDS_RAISED", Gesture.BOTH_HANDS_RAISED),
        ("LEFT_HAND_RAISED", Gesture.LEFT_HAND_RAISED),
        ("ARMS_CROSSED", Gesture.ARMS_CROSSED),
        ("HANDS_ON_FACE", Gesture.HANDS_ON_FACE),
        ("POINTING", Gesture.OTHER),
    ],
)
def test_gesture_and_pointing(
    make_listener: Callable[..., Listener], name: str, constant: int
) -> None:
    listener = make_listener(recognition=True)
    one = acting(name)
    listener.send(humans(1.0, one))
    gestures = listener.listen(Gesture, "/humans/bodies/h1/gesture")
    pointing = listener.listen(PoseStamped, "/humans/bodies/h1/pointing")
    listener.send(humans(1.1, one))
    listener.wait(lambda: gestures and (pointing or name != "POINTING"))
    assert gestures[-1].gesture == constant
    assert bool(pointing) == (name == "POINTING")
    if pointing:
        turn = pointing[0].pose.orientation
        ray = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).apply([1.0, 0.0, 0.0])
        eyes = one.joints[23:25].mean(axis=0)
        hand = np.array(numbers(pointing[0].pose.position))
        np.testing.assert_allclose(np.cross(ray, hand - eyes), 0.0, atol=1e-5)


def test_gestures_that_this_version_lacks_are_other() -> None:
    from pear_ros.ros.bridges.hri_recognition import GESTURES as CONSTANTS
    from pear_ros.ros.bridges.hri_recognition import POSTURES

    assert CONSTANTS[GestureKind.WAVING] == Gesture.WAVING
    if not hasattr(Gesture, "THUMB_UP"):
        assert CONSTANTS[GestureKind.THUMB_UP] == Gesture.OTHER
    assert set(POSTURES.values()) == {0, 1, 2, 3, 4}


def lying(distance: float = 3.0) -> Array:
    """A pose on the back, head to the camera's left."""
    pose = t_pose(left_shoulder=(0, 0, -1.2), right_shoulder=(0, 0, 1.2))
    turn = Rotation.from_euler("z", 90, degrees=True) * Rotation.from_rotvec(pose[0])
    pose[0] = turn.as_rotvec()
    return pose


def test_person_on_the_floor_has_fallen(make_listener: Callable[..., Listener]) -> None:
    listener = make_listener(recognition=True, target_frame="odom")
    listener.publish_frames(camera_in_odom(0.0), static=True)
    standing = t_pose(left_shoulder=(0, 0, -1.2), right_shoulder=(0, 0, 1.2))
    listener.send(humans(0.5, person(standing, (0.0, 0.4, 3.0))))
    postures = listener.listen(BodyPosture, "/humans/bodies/h1/posture")
    fallen = listener.listen(Bool, "/humans/bodies/h1/fallen")
    listener.send(humans(1.0, person(standing, (0.0, 0.4, 3.0))))
    for second in (1.5, 2.0, 2.6):
        listener.send(humans(second, person(lying(), (0.4, CAMERA_HEIGHT - 0.15, 3.0))))
    listener.wait(lambda: len(postures) == 4 and len(fallen) == 4)
    assert [message.posture for message in postures] == [BodyPosture.STANDING] + 3 * [
        BodyPosture.LAYING
    ]
    assert [message.data for message in fallen] == [False, False, False, True]


def test_without_a_floor_there_is_posture_and_no_fall(
    make_listener: Callable[..., Listener],
) -> None:
    listener = make_listener(recognition=True)
    listener.send(humans(0.5, person(lying())))
    postures = listener.listen(BodyPosture, "/humans/bodies/h1/posture")
    fallen = listener.listen(Bool, "/humans/bodies/h1/fallen")
    for second in range(1, 5):
        listener.send(humans(float(second), person(lying())))
    listener.wait(lambda: len(postures) == 4)
    assert {message.posture for message in postures} == {BodyPosture.LAYING}
    assert not fallen


def test_persons_engage_and_gaze(make_listener: Callable[..., Listener]) -> None:
    listener = make_listener(persons=True)
    tracked = listener.listen(IdsList, "/humans/persons/tracked")
    gazing = listener.listen(Gaze, "/humans/interactions/gazing")
    aside = t_pose(head=(0.0, 1.2, 0.0))
    people = person(t_pose()), person(aside, (0.8, 0.0, 4.0), "h2")
    listener.send(humans(0.9, *people))
    bodies = listener.listen(String, "/humans/persons/h1/body_id", profile=LATCHED)
    levels = listener.listen(EngagementLevel, "/humans/persons/h1/engagement_status")
    others = listener.listen(EngagementLevel, "/humans/persons/h2/engagement_status")
    for tenth in range(10, 35):
        listener.send(humans(tenth / 10, *people))
    listener.wait(lambda: bodies and len(levels) == 25 and len(others) == 25)
    assert bodies[0].data == "h1"
    assert levels[-1].level == EngagementLevel.ENGAGED
    assert others[-1].level == EngagementLevel.DISENGAGED
    assert ("h1", "") in {(message.sender, message.receiver) for message in gazing}
    assert not [message for message in gazing if (message.sender, message.receiver) == ("h2", "")]
    listener.send(humans(9.0))
    listener.wait(lambda: list(tracked[-1].ids) == [])
    assert {getattr(EngagementLevel, level.name) for level in Level} == set(range(5))


def test_faces_have_action_units(make_listener: Callable[..., Listener]) -> None:
    listener = make_listener(faces=True)
    names = open_body().expression_names
    model = listener.tool.create_publisher(BodyModelInfo, "body_model", LATCHED)
    model.publish(BodyModelInfo(name="open", expression_names=list(names)))
    tracked = listener.listen(IdsList, "/humans/faces/tracked")
    message = humans(1.0, person(t_pose()), person(t_pose(), (0.8, 0, 4.0), "h2"))
    message.humans[1].joint_confidence[JOINT["jaw"]] = 0.0  # this face was not read
    expression = np.zeros(len(names), np.float32)
    expression[names.index("mouthSmileLeft")] = 0.6
    message.humans[0].smplx.expression = expression
    listener.send(message)
    units = listener.listen(FacialActionUnits, "/humans/faces/h1/facs")
    regions = listener.listen(NormalizedRegionOfInterest2D, "/humans/faces/h1/roi")
    group = listener.bridge._groups[1]
    listener.wait(lambda: group._names)
    listener.send(message)
    listener.wait(lambda: units and regions)
    assert list(tracked[-1].ids) == ["h1"]
    smile = FacialActionUnits.LIP_CORNER_PULLER
    assert units[0].intensity[smile] == pytest.approx(0.6)
    assert units[0].confidence[smile] == pytest.approx(0.5)
    assert math.isnan(units[0].intensity[FacialActionUnits.SPEECH])
    assert units[0].confidence[FacialActionUnits.SPEECH] == 0.0
    nose = message.humans[0].keypoints.reshape(55, 2)[[23, 24]].mean(axis=0)
    (region,) = regions
    assert region.xmin * 640 < nose[0] < region.xmax * 640
    assert region.ymin * 480 < nose[1] < region.ymax * 480


def test_nothing_more_is_offered_unless_asked_for(make_listener: Callable[..., Listener]) -> None:
    listener = make_listener()
    listener.send(humans(1.0, person(t_pose())))
    bodies = {f"/humans/bodies/h1/{name}" for name in ("roi", "skeleton2d", "joint_states")}
    listener.wait(lambda: listener.topics() == {"/humans/bodies/tracked", *bodies})


def test_predicted_people_make_no_gesture(make_listener: Callable[..., Listener]) -> None:
    listener = make_listener(recognition=True)
    one = acting("BOTH_HANDS_RAISED")
    listener.send(humans(1.0, one))
    gestures = listener.listen(Gesture, "/humans/bodies/h1/gesture")
    hidden = person(one.smplx.pose, (0.0, 0.0, 3.0), state=TrackingState.PREDICTED)
    listener.send(humans(1.1, hidden))
    listener.wait(lambda: gestures)
    assert gestures[-1].gesture == Gesture.OTHER


def test_silence_ends_persons_and_faces(
    make_listener: Callable[..., Listener], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hri_bridge, "_SILENCE_SECONDS", 0.3)
    listener = make_listener(persons=True, faces=True)
    persons = listener.listen(IdsList, "/humans/persons/tracked")
    faces = listener.listen(IdsList, "/humans/faces/tracked")
    listener.send(humans(1.0, person(t_pose())))
    listener.wait(lambda: len(persons) == 2 and len(faces) == 2)
    assert [list(message.ids) for message in persons] == [["h1"], []]
    assert [list(message.ids) for message in faces] == [["h1"], []]
