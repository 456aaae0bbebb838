# SPDX-License-Identifier: Apache-2.0
"""The core's people and body as messages, through rclpy's own serialiser and back."""

from __future__ import annotations

import array
import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

pytest.importorskip("rclpy", reason="needs ROS 2")

from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header

from pear_msgs.msg import BodyModelInfo, Human, HumanArray
from pear_ros.core.camera import Camera
from pear_ros.core.people import (
    DepthSource,
    FlameParams,
    People,
    Person,
    SmplxParams,
    TrackingState,
)
from pear_ros.ros.conversion.images import bgr_from_compressed
from pear_ros.ros.conversion.messages import (
    body_model_info,
    human_array,
    image_message,
    jpeg_message,
)
from testing.tiny_pipeline import TETRAHEDRON, TinyBody

HEADER = Header(frame_id="camera_optical", stamp=Time(sec=12, nanosec=345))
CAMERA = Camera(640, 480, 500.0, 510.0, 320.5, 240.5)


def person(seed: int = 0, track_id: str = "h1", flame: bool = False) -> Person:
    """A person whose numbers are all different, a few of them unknown."""
    rng = np.random.default_rng(seed)

    def numbers(*shape: int) -> np.ndarray:
        values = rng.normal(size=shape).astype(np.float32)
        return np.where(rng.random(shape) < 0.1, np.float32(np.nan), values)

    return Person(
        id=track_id,
        state=TrackingState.TRACKED,
        score=0.3,
        box=np.array([1.0, 2.0, 30.5, 40.5], np.float32),
        smplx=SmplxParams(
            pose=rng.normal(size=(55, 3)).astype(np.float32),
            betas=numbers(10),
            expression=numbers(4),
            transl=numbers(3),
        ),
        joints=numbers(55, 3),
        joint_confidence=numbers(55),
        keypoints=numbers(55, 2),
        flame=FlameParams(
            shape=numbers(5),
            expression=numbers(3),
            jaw=numbers(3),
            eyes=numbers(6),
            eyelids=numbers(2),
            head_scale=numbers(3),
        )
        if flame
        else None,
        scale=1.25,
        depth_source=DepthSource.MEASURED,
        depth_error=0.125,
        foot_contact=numbers(4),
    )


def people(*persons: Person) -> People:
    return People(CAMERA, "model/1", "body/1", persons)


def sent(message: HumanArray) -> HumanArray:
    """The message as a subscriber receives it."""
    return deserialize_message(serialize_message(message), HumanArray)


@pytest.mark.parametrize("flame", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_every_number_arrives(seed: int, flame: bool) -> None:
    one = person(seed, flame=flame)
    human: Human = sent(human_array(people(one), HEADER)).humans[0]

    assert (human.id, human.tracking_state) == ("h1", TrackingState.TRACKED)
    assert human.score == np.float32(0.3)
    smplx = human.smplx
    hands = (smplx.left_hand_pose, smplx.right_hand_pose)
    head = (smplx.jaw_pose, smplx.leye_pose, smplx.reye_pose)
    pose = np.concatenate([smplx.global_orient, smplx.body_pose, *head, *hands])
    np.testing.assert_array_equal(pose.reshape(55, 3), one.smplx.pose)
    np.testing.assert_array_equal(smplx.transl, one.smplx.transl)
    np.testing.assert_array_equal(smplx.betas, one.smplx.betas)
    np.testing.assert_array_equal(smplx.expression, one.smplx.expression)
    np.testing.assert_array_equal(human.joints.reshape(55, 3), one.joints)
    np.testing.assert_array_equal(human.joint_confidence, one.joint_confidence)
    np.testing.assert_array_equal(human.foot_contact, one.foot_contact)
    assert (human.depth_source, human.depth_error) == (Human.DEPTH_MEASURED, 0.125)
    np.testing.assert_array_equal(human.keypoints.reshape(55, 2), one.keypoints)
    assert len(human.vertices) == 0
    for name in ("shape", "expression", "jaw", "eyes", "eyelids", "head_scale"):
        found = np.asarray(getattr(human.flame, name))
        if one.flame is not None:
            np.testing.assert_array_equal(found, getattr(one.flame, name))
        else:
            assert np.isnan(found).all()  # also of the empty ones


@given(
    left=st.floats(0, 300, width=32),
    top=st.floats(0, 200, width=32),
    right=st.floats(301, 640, width=32),
    bottom=st.floats(201, 480, width=32),
)
def test_region_holds_the_box(left: float, top: float, right: float, bottom: float) -> None:
    one = dataclasses.replace(person(), box=np.array([left, top, right, bottom], np.float32))
    roi = human_array(people(one), HEADER).humans[0].roi
    assert roi.x_offset <= left < roi.x_offset + 1
    assert roi.y_offset <= top < roi.y_offset + 1
    assert roi.x_offset + roi.width - 1 < right <= roi.x_offset + roi.width
    assert roi.y_offset + roi.height - 1 < bottom <= roi.y_offset + roi.height


@pytest.mark.parametrize(
    ("box", "region"),
    [
        ((-5.5, -3.0, 10.0, 20.0), (0, 0, 10, 20)),
        ((600.0, 400.0, 700.0, 500.0), (600, 400, 40, 80)),
        ((-9.0, -9.0, -1.0, -1.0), (0, 0, 0, 0)),
        ((700.0, 10.0, 800.0, 20.0), (640, 10, 0, 10)),
    ],
)
def test_region_stays_in_the_image(box: tuple[float, ...], region: tuple[int, ...]) -> None:
    one = dataclasses.replace(person(), box=np.array(box, np.float32))
    roi = human_array(people(one), HEADER).humans[0].roi
    assert (roi.x_offset, roi.y_offset, roi.width, roi.height) == region


@given(turn=st.tuples(*[st.floats(-4, 4, width=32)] * 3))
def test_root_pose_is_the_pelvis(turn: tuple[float, float, float]) -> None:
    one = person()
    one.smplx.pose[0] = turn
    pose = human_array(people(one), HEADER).humans[0].root_pose
    position = (pose.position.x, pose.position.y, pose.position.z)
    np.testing.assert_array_equal(np.float32(position), one.joints[0])
    q = pose.orientation
    turned = Rotation.from_quat([q.x, q.y, q.z, q.w]).as_matrix()
    expected = Rotation.from_rotvec(one.smplx.pose[0]).as_matrix()
    np.testing.assert_allclose(turned, expected, atol=1e-6)


def test_image_without_people_has_an_empty_array() -> None:
    message = sent(human_array(people(), HEADER))
    assert message.humans == []
    assert message.header == HEADER
    assert (message.image_width, message.image_height) == (640, 480)
    assert (message.fx, message.fy, message.cx, message.cy) == (500.0, 510.0, 320.5, 240.5)
    assert message.intrinsics_source == HumanArray.INTRINSICS_CAMERA_INFO
    assert (message.model_id, message.body_model) == ("model/1", "body/1")


def test_numbers_of_states_are_those_of_the_messages() -> None:
    for state in TrackingState:
        assert getattr(Human, state.name) == state
    for source in DepthSource:
        assert getattr(Human, f"DEPTH_{source.name}") == source
    for intrinsics in type(CAMERA.source):
        assert getattr(HumanArray, f"INTRINSICS_{intrinsics.name}") == intrinsics


def test_vertices_go_to_their_person() -> None:
    lost = dataclasses.replace(person(1, "h1"), state=TrackingState.LOST)
    meshes = {"h2": TETRAHEDRON, "h3": TETRAHEDRON + np.float32(0.1)}
    message = human_array(people(lost, person(2, "h2"), person(3, "h3")), HEADER, meshes)
    assert isinstance(message.humans[1].vertices, array.array)  # the one fast way in rclpy
    humans = sent(message).humans
    assert len(humans[0].vertices) == 0
    for human in humans[1:]:
        np.testing.assert_array_equal(np.reshape(human.vertices, (-1, 3)), meshes[human.id])


def test_body_model() -> None:
    body = TinyBody()
    message = deserialize_message(serialize_message(body_model_info(body)), BodyModelInfo)
    assert (message.name, message.sha256, message.license_note) == (
        body.name,
        body.sha256,
        body.license_note,
    )
    assert tuple(message.joint_names) == body.joint_names
    np.testing.assert_array_equal(message.parents, body.parents)
    np.testing.assert_array_equal(np.reshape(message.faces, (-1, 3)), body.faces)
    assert (message.vertex_count, message.num_betas, message.num_expression) == (4, 2, 1)
    assert message.expression_names == ["smile"]


def test_overlay_is_the_picture() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    for view in (picture, picture[:, ::-1]):
        message = image_message(view, HEADER)
        assert (message.height, message.width, message.step, message.encoding) == (5, 7, 21, "bgr8")
        np.testing.assert_array_equal(np.reshape(message.data, (5, 7, 3)), view)
        assert message.header == HEADER


def test_compressed_overlay_is_nearly_the_picture() -> None:
    picture = cv2.resize(np.array([[[255, 0, 0], [0, 200, 255]]], np.uint8), (64, 48))
    message = jpeg_message(picture, HEADER)
    assert message.header == HEADER
    assert np.abs(bgr_from_compressed(message).astype(int) - picture).mean() < 3
