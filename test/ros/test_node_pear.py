# SPDX-License-Identifier: Apache-2.0
"""The node with PEAR, on made-up weights and bodies: every message says what made it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")
pytest.importorskip("torch", reason="PEAR needs torch")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from visualization_msgs.msg import MarkerArray

from pear_msgs.msg import BodyModelInfo, HumanArray
from pear_ros.core.parameters import Parameters
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.ros.conversion.messages import jpeg_message
from pear_ros.ros.node.node import PearNode
from pear_ros.ros.pipelines import build_pipeline
from pear_ros.ros.running import StartError
from testing.ros_bench import Bench, header

BOTH_IN_SIGHT = 2.0
"""Second of the demo clip."""


def test_people_of_pear(pear_models: Path) -> None:
    context = rclpy.Context()
    rclpy.init(context=context)
    executor = SingleThreadedExecutor(context=context)
    pipeline = build_pipeline(Parameters(estimator="pear", model_folder=str(pear_models)))
    bench = Bench(executor, pipeline, image_transport="compressed", publish_vertices=True)
    humans = bench.subscribe(HumanArray, "humans")
    markers = bench.subscribe(MarkerArray, "mesh_markers")
    bodies: list[BodyModelInfo] = []
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    bench.client.create_subscription(BodyModelInfo, "body_model", bodies.append, latched)
    frames = (frame for frame in FrameSource(str(demo_clip())) if frame[0] >= BOTH_IN_SIGHT)
    for count, (seconds, picture) in zip((1, 2), frames, strict=False):
        bench.publish(jpeg_message(picture, header(seconds)))
        bench.wait_for(count, humans, markers)
    bench.wait_for(1, bodies)
    message = humans[-1]
    assert message.model_id == pipeline.model_id and message.model_id.startswith("pear/")
    assert message.body_model == bodies[0].name == "ehm-s/1"
    assert (bodies[0].vertex_count, bodies[0].num_betas) == (10475, 200)
    assert len(message.humans) == 2
    assert [m.ns for m in markers[-1].markers] == [human.id for human in message.humans]
    for human in message.humans:
        assert len(human.smplx.betas) == 200 and len(human.smplx.expression) == 50
        assert len(human.flame.shape) == 300 and len(human.flame.expression) == 50
        assert np.isfinite(human.flame.head_scale).all()
        assert np.isnan(human.joint_confidence).all()
        assert len(human.vertices) == 3 * 10475
        position = human.root_pose.position
        np.testing.assert_allclose(
            (position.x, position.y, position.z), human.joints[:3], rtol=1e-6
        )
    bench.close()
    executor.shutdown()
    rclpy.shutdown(context=context)


def test_what_is_missing_is_said_at_the_start(tmp_path: Path) -> None:
    context = rclpy.Context()
    rclpy.init(context=context)
    values = {"estimator": "pear", "model_folder": str(tmp_path)}
    node = PearNode(
        build_pipeline,
        context=context,
        parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
    )
    with pytest.raises(StartError, match=r"7 files are missing in .*[\s\S]*flame\.is\.tue"):
        node.autostart()
    node.destroy_node()
    rclpy.shutdown(context=context)
