# SPDX-License-Identifier: Apache-2.0
"""The node with the real pipeline on a real video: much at once, since it takes time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from ros_bench import Bench, header
from sensor_msgs.msg import CompressedImage
from visualization_msgs.msg import MarkerArray

from pear_msgs.msg import HumanArray
from pear_ros.assets import AssetError, demo_clip
from pear_ros.pipeline import Pipeline
from pear_ros.ros.images import bgr_from_compressed
from pear_ros.ros.messages import jpeg_message
from pear_ros.video import FrameSource

WOMAN_IS_WALKING = 2.0
"""Second of the demo clip in which she is all in the picture."""


@pytest.fixture
def bench() -> Iterator[Bench]:
    try:
        pipeline = Pipeline()
    except AssetError as error:
        pytest.skip(str(error))
    context = rclpy.Context()
    rclpy.init(context=context)
    executor = SingleThreadedExecutor(context=context)
    bench = Bench(executor, pipeline, image_transport="compressed", publish_vertices=True)
    yield bench
    bench.close()
    executor.shutdown()
    rclpy.shutdown(context=context)


def test_people_in_the_demo_clip(bench: Bench) -> None:
    humans = bench.subscribe(HumanArray, "humans")
    markers = bench.subscribe(MarkerArray, "mesh_markers")
    overlays = bench.subscribe(CompressedImage, "overlay/compressed")
    frames = (frame for frame in FrameSource(str(demo_clip())) if frame[0] >= WOMAN_IS_WALKING)
    for count, (seconds, picture) in zip(range(1, 4), frames, strict=False):
        bench.publish(jpeg_message(picture, header(seconds)))
        bench.wait_for(count, humans, markers, overlays)

    message, body = humans[-1], bench.pipeline.body
    assert message.header == header(seconds)
    assert message.body_model == body.name
    assert message.humans
    assert [m.ns for m in markers[-1].markers] == [human.id for human in message.humans]
    assert bgr_from_compressed(overlays[-1]).shape == picture.shape
    for human, marker in zip(message.humans, markers[-1].markers, strict=True):
        assert 2.0 < human.root_pose.position.z < 20.0
        vertices = np.reshape(human.vertices, (-1, 3))
        points = np.array([(p.x, p.y, p.z) for p in marker.points])
        np.testing.assert_array_equal(points, vertices[body.faces.ravel()])
        # Whoever has the body model can compute the mesh from the parameters alone.
        parameters = human.smplx
        pose = np.concatenate(
            [
                *(parameters.global_orient, parameters.body_pose, parameters.jaw_pose),
                *(parameters.leye_pose, parameters.reye_pose),
                *(parameters.left_hand_pose, parameters.right_hand_pose),
            ]
        )
        computed = body.vertices(
            pose.reshape(1, 55, 3),
            np.array(parameters.betas, np.float32)[None],
            np.array(parameters.expression, np.float32)[None],
            parameters.transl[None],
        )
        np.testing.assert_allclose(computed[0], vertices, atol=1e-5)
