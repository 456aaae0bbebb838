# SPDX-License-Identifier: Apache-2.0
"""The camera's pose and the floor of an image: from TF, parameters and depth, and in the node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import MultiDOFJointState, PointCloud2
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from pear_msgs.msg import HumanArray
from pear_ros.core.parameters import Parameters
from pear_ros.ros.conversion.frame_input import FLOOR, IMAGE, POSE, FrameAssembler, FrameInput
from pear_ros.ros.conversion.input_watch import InputWatch
from pear_ros.ros.transform_buffer import TransformBuffer
from testing.open_people import OpenPipeline
from testing.ros_bench import Bench, image

FROM_OPTICAL = (-0.5, 0.5, -0.5, 0.5)
"""Quaternion of optical axes in those of a robot: x forward, y left, z up."""
CAMERA_FRAME = "camera_optical"
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def transform(
    parent: str, child: str, z: float = 1.0, second: int = 1, quaternion: Any = FROM_OPTICAL
) -> TFMessage:
    x, y, qz, w = quaternion
    return TFMessage(
        transforms=[
            TransformStamped(
                header=Header(frame_id=parent, stamp=Time(sec=second)),
                child_frame_id=child,
                transform=Transform(
                    translation=Vector3(x=0.0, y=0.0, z=z),
                    rotation=Quaternion(x=x, y=y, z=qz, w=w),
                ),
            )
        ]
    )


def assembled(parameters: Parameters, *transforms: TFMessage, second: float = 1.0) -> FrameInput:
    buffer = TransformBuffer()
    for message in transforms:
        buffer.add(message)
    assemble = FrameAssembler({IMAGE: "/image"}, lookup=buffer.lookup)
    return assemble(image(second, 0), {}, replace(parameters, transform_timeout=0.0))


def texts(frame: FrameInput, kind: str) -> list[str]:
    return [issue.text for issue in frame.issues if issue.kind == kind]


def test_nothing_is_looked_up_unless_asked_for() -> None:
    frame = assembled(Parameters())
    assert frame.camera_pose is None
    assert frame.ground is None
    assert not texts(frame, POSE) + texts(frame, FLOOR)


def test_pose_and_floor_come_from_tf() -> None:
    parameters = Parameters(target_frame="odom", floor="tf", ground_frame="odom")
    frame = assembled(parameters, transform("odom", CAMERA_FRAME, 1.3))
    assert frame.camera_pose is not None
    assert frame.ground is not None
    assert np.allclose(frame.camera_pose.apply(np.array([0.0, 0.0, 2.0])), (2.0, 0.0, 1.3))
    assert np.allclose(frame.ground.normal, (0.0, -1.0, 0.0))
    assert frame.ground.height == pytest.approx(1.3)
    assert frame.ground.tilt_std == pytest.approx(np.radians(parameters.floor_tilt_error))


def test_floor_is_given_also_to_a_camera_on_its_side() -> None:
    given = Parameters(floor="given", camera_height=1.5, camera_tilt=10.0)
    upright, turned = assembled(given).ground, assembled(replace(given, rotate=90)).ground
    assert upright is not None
    assert turned is not None
    assert upright.height == turned.height == 1.5
    assert upright.normal[1] == pytest.approx(-np.cos(np.radians(10.0)))
    # Turned clockwise, the image's top is what was its left.
    assert turned.normal[0] == pytest.approx(-np.cos(np.radians(10.0)))


@pytest.mark.parametrize(
    ("values", "messages", "kind", "says"),
    [
        ({"target_frame": "odom"}, [], POSE, "names 'camera_optical'"),
        (
            {"target_frame": "odom"},
            [transform("odom", CAMERA_FRAME, second=0)],
            POSE,
            "older than the image",
        ),
        ({"floor": "tf"}, [transform("odom", CAMERA_FRAME)], FLOOR, "'base_footprint'"),
        (
            {"floor": "tf", "ground_frame": "odom"},
            [transform("odom", CAMERA_FRAME, -0.5)],
            FLOOR,
            "0.50 m below",
        ),
        ({"floor": "given"}, [], FLOOR, "set camera_height"),
        (
            {"floor": "given", "camera_height": 1.0, "camera_tilt": -60.0},
            [],
            FLOOR,
            "shows no floor",
        ),
        ({"floor": "depth"}, [], FLOOR, "no depth image"),
    ],
)
def test_what_is_missing_is_one_sentence_and_the_image_is_used(
    values: dict[str, Any], messages: list[TFMessage], kind: str, says: str
) -> None:
    frame = assembled(Parameters(**values), *messages)
    assert frame.camera_pose is None
    assert frame.ground is None
    [text] = texts(frame, kind)
    assert says in text
    assert "\n" not in text


def test_jump_of_the_pose_is_said() -> None:
    watch, parameters = InputWatch(), Parameters(target_frame="odom")
    said = []
    for second, z in ((1, 1.0), (2, 1.1), (3, 40.0), (4, 40.1)):
        frame = assembled(parameters, transform("odom", CAMERA_FRAME, z, second), second=second)
        _, issues = watch(frame, second * 10**9, ("/image", ""), parameters)
        said.append([issue.cause for issue in issues])
    assert said == [[], [], ["jump"], []]


def test_node_gives_results_in_target_frame(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(pipeline=OpenPipeline(), target_frame="map", floor="tf", ground_frame="map")
    static = bench.client.create_publisher(TFMessage, "/tf_static", LATCHED)
    static.publish(transform("map", CAMERA_FRAME, 1.0))
    humans = bench.subscribe(HumanArray, "humans")
    markers = bench.subscribe(MarkerArray, "mesh_markers")
    points = bench.subscribe(PointCloud2, "points")
    poses = bench.subscribe(MultiDOFJointState, "body_joint_states")
    # The latched transform may arrive after the first images.
    for second in range(1, 200):
        bench.publish(image(float(second), 0))
        bench.wait_for(second, humans, markers, points, poses)
        if points[-1].header.frame_id == "map":
            break
    assert points[-1].header.frame_id == "map"
    assert poses[-1].header.frame_id == "map"
    assert markers[-1].markers[0].header.frame_id == "map"
    assert humans[-1].header.frame_id == CAMERA_FRAME
    root = humans[-1].humans[0].joints[:3]
    place = poses[-1].transforms[0].translation
    # The optical axis is x of the map, and the camera is 1 m above it.
    assert place.x == pytest.approx(root[2], abs=0.05)
    assert place.z == pytest.approx(1.0 - root[1], abs=0.1)
    assert bench.pipeline.camera_poses[-1] is not None
    assert bench.pipeline.grounds[-1].height == pytest.approx(1.0)


def test_node_without_transforms_gives_results_in_the_camera_frame(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(target_frame="map", floor="tf")
    points = bench.subscribe(PointCloud2, "points")
    bench.publish(image(1.0, 0))
    bench.wait_for(1, points)
    assert points[0].header.frame_id == CAMERA_FRAME
    assert bench.node.statistics.issues["no pose"] == 1
    assert bench.node.statistics.issues["no floor"] == 1
