# SPDX-License-Identifier: Apache-2.0
"""The node with the real pipeline on a real video: much at once, since it takes time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image as ImageMessage
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from pear_msgs.msg import Human, HumanArray
from pear_ros.core.camera import Camera
from pear_ros.core.people import Image
from pear_ros.detection.detectors import make_detector
from pear_ros.io.downloads import AssetError, demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.pipeline import Pipeline
from pear_ros.rendering.raster import rasterize
from pear_ros.ros.conversion.images import bgr_from_compressed
from pear_ros.ros.conversion.messages import jpeg_message
from testing.raster_maps import depth_map
from testing.ros_bench import Bench, header

WOMAN_IS_WALKING = 2.0
"""Second of the demo clip in which she is all in the picture."""


MakeBench = Callable[..., Bench]


def clip_from(second: float) -> Iterator[tuple[float, Image]]:
    return (frame for frame in FrameSource(str(demo_clip())) if frame[0] >= second)


@pytest.fixture
def make_real_bench(executor: SingleThreadedExecutor) -> Iterator[MakeBench]:
    """Makes a node under test with the real pipeline, and a client."""
    benches: list[Bench] = []

    def make(**parameters: Any) -> Bench:
        values = {"image_transport": "compressed", "publish_vertices": True, **parameters}
        try:
            pipeline = Pipeline(detector=make_detector(values.get("detector", "built_in")))
        except AssetError as error:
            pytest.skip(str(error))
        benches.append(Bench(executor, pipeline, **values))
        return benches[-1]

    yield make
    for bench in benches:
        bench.close()


def test_people_in_the_demo_clip(make_real_bench: MakeBench) -> None:
    bench = make_real_bench()
    humans = bench.subscribe(HumanArray, "humans")
    markers = bench.subscribe(MarkerArray, "mesh_markers")
    overlays = bench.subscribe(CompressedImage, "overlay/compressed")
    for count, (seconds, picture) in zip(range(1, 4), clip_from(WOMAN_IS_WALKING), strict=False):
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
        np.testing.assert_array_equal(points, vertices[body.faces_of("medium").ravel()])
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


def depth_image(second: float, millimetres: np.ndarray) -> ImageMessage:
    height, width = millimetres.shape
    data = millimetres.astype(np.uint16).tobytes()
    return ImageMessage(
        header=header(second),
        height=height,
        width=width,
        encoding="16UC1",
        step=2 * width,
        data=data,
    )


def test_detections_depth_and_transforms_of_a_real_person(make_real_bench: MakeBench) -> None:
    """A detector reports the woman alone; in the depth image she is 1.2 times as far away
    as her assumed size had it, before a wall; /tf has her there.
    """
    pytest.importorskip("vision_msgs", reason="needs the messages of vision_msgs")
    from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

    bench = make_real_bench(detector="topic", depth=True, transforms="roots", sync_timeout=10.0)
    humans = bench.subscribe(HumanArray, "humans")
    transforms: list[TFMessage] = []
    bench.client.create_subscription(TFMessage, "/tf", transforms.append, 10)
    bench.wait(lambda: bench.node.watched.tf)

    (x0, y0), (x1, y1) = (1270, 540), (1500, 960)
    woman = Detection2D()
    woman.bbox.center.position.x, woman.bbox.center.position.y = (x0 + x1) / 2, (y0 + y1) / 2
    woman.bbox.size_x, woman.bbox.size_y = float(x1 - x0), float(y1 - y0)
    person = ObjectHypothesisWithPose()
    person.hypothesis.class_id, person.hypothesis.score = "person", 0.9
    woman.results = [person]

    seconds, picture = next(clip_from(WOMAN_IS_WALKING))
    height, width = picture.shape[:2]
    depth = np.zeros((height, width))
    for count in (1, 2):
        now = seconds + count / 30
        bench.publish(jpeg_message(picture, header(now)))
        bench.publish(Detection2DArray(header=header(now), detections=[woman]), "detections")
        bench.publish(depth_image(now, depth), "depth")
        bench.wait_for(count, humans)
        (human,) = humans[-1].humans
        vertices = np.reshape(human.vertices, (-1, 3)) * np.float32(1.2)
        camera = Camera.from_field_of_view(width, height)
        seen = depth_map(rasterize(vertices, bench.pipeline.body.faces, camera))
        depth = 1e3 * np.minimum(seen, 1.5 * seen.min())

    assumed, measured = (message.humans[0] for message in humans)
    assert (assumed.depth_source, assumed.scale) == (Human.DEPTH_ASSUMED, 1.0)
    assert measured.depth_source == Human.DEPTH_MEASURED
    before, after = (np.reshape(human.joints, (55, 3)) for human in (assumed, measured))
    np.testing.assert_allclose(after[:, 2], 1.2 * before[:, 2], rtol=0.02)
    bench.wait_for(2, transforms)
    (frame,) = transforms[-1].transforms
    assert frame.child_frame_id == f"body_{measured.id}"
    assert frame.transform.translation.z == pytest.approx(after[1:3, 2].mean(), rel=0.01)
    assert bench.node.statistics.missing_depth == bench.node.statistics.missing_detections == 0
