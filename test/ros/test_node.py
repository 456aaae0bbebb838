# SPDX-License-Identifier: Apache-2.0
"""The real node over real DDS: images in, people out, whatever arrives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, PointCloud2
from sensor_msgs.msg import Image as ImageMessage
from visualization_msgs.msg import Marker, MarkerArray

from pear_msgs.msg import BodyModelInfo, Human, HumanArray
from pear_ros.core.estimator import DeviceLostError
from pear_ros.ros.conversion.images import bgr_from_compressed
from pear_ros.ros.node.parameters import ParameterError
from testing.ros_bench import Bench, header, image
from testing.tiny_pipeline import TETRAHEDRON, TinyPipeline, picture

MakeBench = Callable[..., Bench]


def stamp(message: Any) -> tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec


def test_people_of_an_image(bench: Bench) -> None:
    humans = bench.subscribe(HumanArray, "humans")
    sent = image(12.25, 0, 2)
    bench.publish(sent)
    bench.wait_for(1, humans)

    (message,) = humans
    assert message.header == sent.header
    assert (message.image_width, message.image_height) == (64, 48)
    assert (message.model_id, message.body_model) == ("tiny/1", "tetrahedron/1")
    assert [human.id for human in message.humans] == ["h1", "h3"]
    assert {human.tracking_state for human in message.humans} == {Human.NEW}
    assert message.humans[1].root_pose.position.x == 2.0
    assert bench.pipeline.stamps == [12.25]


def test_markers_of_an_image(bench: Bench) -> None:
    arrays = bench.subscribe(MarkerArray, "mesh_markers")
    sent = image(12.25, 1)
    bench.publish(sent)
    bench.wait_for(1, arrays)

    (marker,) = arrays[0].markers
    assert marker.header == sent.header
    assert (marker.ns, marker.action) == ("h2", Marker.ADD)
    points = np.array([(p.x, p.y, p.z) for p in marker.points])
    corners = TETRAHEDRON[bench.pipeline.body.faces.ravel()] + np.float32([1, 0, 5])
    np.testing.assert_array_equal(points, corners)


def test_mesh_detail_while_running(bench: Bench) -> None:
    """Markers and overlay have other triangles from the next image on; those who go are deleted."""
    arrays = bench.subscribe(MarkerArray, "mesh_markers")
    overlays = bench.subscribe(ImageMessage, "overlay")
    points = bench.subscribe(PointCloud2, "points")
    scenes = [("medium", (0, 1)), ("low", (0, 1)), ("low", (1,)), ("full", (1, 2))]
    for second, (detail, squares) in enumerate(scenes):
        (result,) = bench.node.set_parameters([Parameter("mesh_detail", value=detail)])
        assert result.successful
        bench.publish(image(second, *squares))
        bench.wait_for(second + 1, arrays, overlays, points)

    shown = [[(m.ns, m.action, len(m.points)) for m in array.markers] for array in arrays]
    assert shown == [
        [("h1", Marker.ADD, 12), ("h2", Marker.ADD, 12)],
        [("h1", Marker.ADD, 3), ("h2", Marker.ADD, 3)],
        [("h2", Marker.ADD, 3), ("h1", Marker.DELETE, 0)],
        [("h2", Marker.ADD, 12), ("h3", Marker.ADD, 12)],
    ]
    corners = [(p.x, p.y, p.z) for p in arrays[2].markers[0].points]
    np.testing.assert_array_equal(corners, TETRAHEDRON[[1, 3, 2]] + np.float32([1, 0, 5]))
    assert bytes(overlays[0].data) != bytes(overlays[1].data)
    assert [cloud.width for cloud in points] == [8, 8, 4, 8], "every vertex, in any detail"

    (result,) = bench.node.set_parameters([Parameter("mesh_detail", value="high")])
    assert "must be 'full' or 'medium' or 'low', not 'high'" in result.reason


def test_overlay_is_drawn_on_the_image(bench: Bench) -> None:
    overlays = bench.subscribe(ImageMessage, "overlay")
    for second, squares in ((1, ()), (2, (0,))):
        bench.publish(image(second, *squares))
        bench.wait_for(second, overlays)
    empty, drawn = (np.reshape(o.data, (48, 64, 3)) for o in overlays)
    assert overlays[0].encoding == "bgr8"
    assert [stamp(o) for o in overlays] == [(1, 0), (2, 0)]
    np.testing.assert_array_equal(empty, picture())
    assert not np.array_equal(drawn, picture(0))


def test_overlay_is_compressed_as_well(bench: Bench) -> None:
    overlays = bench.subscribe(CompressedImage, "overlay/compressed")
    bench.publish(image(1, 0))
    bench.wait_for(1, overlays)
    assert overlays[0].header == header(1)
    assert bgr_from_compressed(overlays[0]).shape == (48, 64, 3)


def test_empty_scene_is_published_empty(bench: Bench) -> None:
    humans = bench.subscribe(HumanArray, "humans")
    markers = bench.subscribe(MarkerArray, "mesh_markers")
    bench.publish(image(1))
    bench.wait_for(1, humans, markers)
    assert humans[0].humans == []
    assert markers[0].markers == []
    assert stamp(humans[0]) == (1, 0)


def test_markers_are_deleted_for_those_who_are_lost_only(bench: Bench) -> None:
    arrays = bench.subscribe(MarkerArray, "mesh_markers")
    humans = bench.subscribe(HumanArray, "humans")
    for second, squares in enumerate([(0, 1), (0,), (0,), (2,)], start=1):
        bench.publish(image(second, *squares))
        bench.wait_for(second, arrays, humans)
    shown = [{(m.ns, m.action) for m in array.markers} for array in arrays]
    assert shown == [
        {("h1", Marker.ADD), ("h2", Marker.ADD)},
        {("h1", Marker.ADD), ("h2", Marker.DELETE)},
        {("h1", Marker.ADD)},
        {("h3", Marker.ADD), ("h1", Marker.DELETE)},
    ]
    assert [(h.id, h.tracking_state) for h in humans[1].humans] == [
        ("h1", Human.TRACKED),
        ("h2", Human.LOST),
    ]


def test_vertices_only_when_asked_for(bench: Bench) -> None:
    humans = bench.subscribe(HumanArray, "humans")
    bench.publish(image(1, 1))
    bench.wait_for(1, humans)
    assert bench.pipeline.mesh_calls == 0
    bench.subscribe(MarkerArray, "mesh_markers")
    bench.publish(image(2, 1))
    bench.wait_for(2, humans)
    assert [len(message.humans[0].vertices) for message in humans] == [0, 0]

    bench.node.set_parameters([Parameter("publish_vertices", value=True)])
    bench.publish(image(3, 1))
    bench.wait_for(3, humans)
    vertices = np.reshape(humans[2].humans[0].vertices, (-1, 3))
    np.testing.assert_array_equal(vertices, TETRAHEDRON + np.float32([1, 0, 5]))


def test_nothing_is_computed_without_subscribers(bench: Bench) -> None:
    bench.publish(image(1, 0))
    bench.wait_statistic("unwatched", 1)
    assert bench.pipeline.stamps == []

    humans = bench.subscribe(HumanArray, "humans")
    bench.publish(image(2, 0))
    bench.wait_for(1, humans)
    assert bench.pipeline.stamps == [2.0]
    assert bench.pipeline.mesh_calls == 0

    bench.unsubscribe("humans")
    bench.publish(image(3, 0))
    bench.wait_statistic("unwatched", 2)
    assert bench.pipeline.stamps == [2.0]


def test_mesh_is_computed_once_for_all(make_bench: MakeBench) -> None:
    bench = make_bench(publish_vertices=True)
    results = [
        bench.subscribe(HumanArray, "humans"),
        bench.subscribe(MarkerArray, "mesh_markers"),
        bench.subscribe(ImageMessage, "overlay"),
    ]
    bench.publish(image(1, 0))
    bench.wait_for(1, *results)
    assert bench.pipeline.mesh_calls == 1


def test_under_overload_the_newest_wins_and_drops_are_counted(bench: Bench) -> None:
    humans = bench.subscribe(HumanArray, "humans")
    bench.pipeline.gate.clear()
    bench.publish(image(1))
    bench.wait(lambda: bench.pipeline.stamps == [1.0])  # the worker is busy with it
    for second in (2, 3, 4, 5):
        bench.publish(image(second))
        bench.wait_statistic("received", second)
    bench.pipeline.gate.set()
    bench.wait_for(2, humans)

    assert [stamp(message) for message in humans] == [(1, 0), (5, 0)]
    bench.wait_statistic("processed", 2)
    assert bench.node.statistics.dropped == 3
    assert bench.node.statistics.lost == 0


def bad_images() -> list[Any]:
    good = image(1)
    truncated, odd, empty, steps = (image(1) for _ in range(4))
    truncated.data = good.data[: len(good.data) // 2]
    odd.encoding = "32FC1"
    empty.width = empty.height = empty.step = 0
    empty.data = b""
    steps.step = 1
    return [truncated, odd, empty, steps]


@pytest.mark.parametrize("bad", bad_images(), ids=["truncated", "encoding", "zero size", "step"])
def test_bad_image_is_refused_and_the_node_lives_on(bench: Bench, bad: ImageMessage) -> None:
    humans = bench.subscribe(HumanArray, "humans")
    for count in (1, 2):
        bench.publish(bad)
        bench.wait_statistic("refused", count)
    bench.publish(image(2, 0))
    bench.wait_for(1, humans)
    assert [stamp(message) for message in humans] == [(2, 0)]
    assert bench.pipeline.stamps == [2.0]


def test_compressed_images(make_bench: MakeBench) -> None:
    bench = make_bench(image_transport="compressed")
    humans = bench.subscribe(HumanArray, "humans")
    jpeg = cv2.imencode(".jpg", picture(1))[1].tobytes()
    corrupt = bytearray(jpeg)
    corrupt[2:40] = b"corrupt" * 6
    for data in (bytes(corrupt), jpeg[:-60], b""):
        before = bench.node.statistics.refused
        bench.publish(CompressedImage(header=header(1), format="jpeg", data=data))
        bench.wait_statistic("refused", before + 1)
    sent = CompressedImage(header=header(2.5), format="jpeg", data=jpeg)
    bench.publish(sent)
    bench.wait_for(1, humans)
    assert humans[0].header == sent.header
    assert [human.id for human in humans[0].humans] == ["h2"]


def test_calibration_is_used(bench: Bench) -> None:
    humans = bench.subscribe(HumanArray, "humans")
    info = CameraInfo(width=64, height=48, k=[50.0, 0, 31.0, 0, 51.0, 23.0, 0, 0, 1.0])
    bench.publish(info)
    second = 0

    def calibrated() -> bool:
        # Image and calibration come on different topics, in any order.
        nonlocal second
        if len(humans) == second:
            second += 1
            bench.publish(image(second))
        return bool(humans) and humans[-1].intrinsics_source == HumanArray.INTRINSICS_CAMERA_INFO

    bench.wait(calibrated)
    camera = humans[-1]
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (50.0, 51.0, 31.0, 23.0)


@pytest.mark.parametrize("info", [None, CameraInfo(width=64, height=48)], ids=["none", "K = 0"])
def test_without_calibration_the_field_of_view_serves(
    make_bench: MakeBench, info: CameraInfo | None
) -> None:
    bench = make_bench(field_of_view=90.0)
    humans = bench.subscribe(HumanArray, "humans")
    if info:
        bench.publish(info)
    bench.publish(image(1))
    bench.wait_for(1, humans)
    (message,) = humans
    assert message.intrinsics_source == HumanArray.INTRINSICS_FIELD_OF_VIEW
    assert message.fx == pytest.approx(32.0)  # half of 64 pixels at 45 degrees


def test_camera_that_stops_and_comes_back(bench: Bench) -> None:
    humans = bench.subscribe(HumanArray, "humans")
    bench.publish(image(1, 0))
    bench.wait_for(1, humans)
    publisher = bench.publishers.pop("image")
    bench.client.destroy_publisher(publisher)
    bench.wait(lambda: bench.node.count_publishers("image") == 0)
    bench.publish(image(100, 0))
    bench.wait_for(2, humans)
    assert [stamp(message) for message in humans] == [(1, 0), (100, 0)]


def test_stamps_that_jump_backwards_reset_all_tracks(bench: Bench) -> None:
    humans = bench.subscribe(HumanArray, "humans")
    begun = bench.pipeline.resets
    for count, second in enumerate([10, 10, 11, 3], start=1):
        bench.publish(image(second, 0))
        bench.wait_for(count, humans)
    assert bench.pipeline.resets == begun + 1
    assert [message.humans[0].tracking_state for message in humans] == [
        Human.NEW,
        Human.TRACKED,
        Human.TRACKED,
        Human.NEW,
    ]


def test_failing_estimator_does_not_end_the_node(bench: Bench) -> None:
    humans = bench.subscribe(HumanArray, "humans")
    bench.pipeline.fault = RuntimeError("no such luck")
    bench.publish(image(1))
    bench.wait_statistic("failed", 1)
    bench.pipeline.fault = None
    bench.publish(image(2))
    bench.wait_for(1, humans)
    assert stamp(humans[0]) == (2, 0)


def test_loss_of_the_gpu_ends_the_node(bench: Bench) -> None:
    """Which no other configuration could heal; diagnostics say it before."""
    bench.subscribe(HumanArray, "humans")
    reports: list[DiagnosticArray] = []
    bench.client.create_subscription(DiagnosticArray, "/diagnostics", reports.append, 10)
    bench.wait_for(1, reports)
    bench.pipeline.fault = DeviceLostError("an illegal memory access: start it again")
    bench.publish(image(1))
    with pytest.raises(DeviceLostError, match="start it again"):
        bench.wait(lambda: False)
    assert bench.node.statistics.failed == 1
    bench.executor.remove_node(bench.node)  # It raises again each second.
    bench.wait(lambda: reports[-1].status[-1].level == DiagnosticStatus.ERROR)
    assert reports[-1].status[-1].message == "an illegal memory access: start it again"
    bench.executor.add_node(bench.node)


def test_body_model_reaches_those_who_come_late(bench: Bench) -> None:
    arrived: list[BodyModelInfo] = []
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    bench.client.create_subscription(BodyModelInfo, "body_model", arrived.append, latched)
    bench.wait_for(1, arrived)
    assert arrived[0].name == "tetrahedron/1"
    assert len(arrived[0].faces) == 12


def test_every_image_is_accounted_for(bench: Bench) -> None:
    bench.publish(image(1))
    bench.wait_statistic("unwatched", 1)
    bench.subscribe(HumanArray, "humans")
    bad = image(2)
    bad.encoding = "?"
    bench.publish(bad)
    bench.wait_statistic("refused", 1)
    bench.publish(image(3, 0, 1))
    bench.wait_statistic("processed", 1)
    figures = bench.node.statistics
    assert figures.received == 3
    assert (figures.unwatched, figures.refused, figures.processed) == (1, 1, 1)
    assert (figures.lost, figures.dropped, figures.failed, figures.people) == (0, 0, 0, 2)
    assert {"decode", "estimate", "publish"} <= set(figures.stage_ms)
    assert "mesh" not in figures.stage_ms


def test_figures_are_on_diagnostics(bench: Bench) -> None:
    arrived: list[DiagnosticArray] = []
    bench.client.create_subscription(DiagnosticArray, "/diagnostics", arrived.append, 1)
    bench.subscribe(HumanArray, "humans")
    bench.publish(image(1, 0, 1))
    bench.wait_statistic("processed", 1)
    arrived.clear()
    bench.wait_for(1, arrived)
    status, _, estimator = arrived[0].status
    assert (status.name, estimator.name) == ("/pear: images", "/pear: estimator")
    values = {pair.key: pair.value for pair in status.values}
    assert (values["processed"], values["people"]) == ("1", "2")
    diagnostics = {pair.key: pair.value for pair in estimator.values}
    assert (estimator.message, diagnostics) == (bench.pipeline.model_id, bench.pipeline.diagnostics)


def test_life_cycle(make_bench: MakeBench) -> None:
    bench = make_bench(autostart=False)
    assert bench.node.watched is None
    bench.node.trigger_configure()
    humans = bench.subscribe(HumanArray, "humans")
    assert bench.node.count_subscribers("image") == 0

    for second in (1, 2):
        bench.node.trigger_activate()
        bench.publish(image(second))
        bench.wait_for(second, humans)
        bench.node.trigger_deactivate()
        bench.wait(lambda: bench.node.count_subscribers("image") == 0)
        bench.client.destroy_publisher(bench.publishers.pop("image"))
    assert not bench.pipeline.closed
    bench.node.trigger_cleanup()
    assert bench.pipeline.closed
    bench.wait(lambda: bench.node.count_publishers("humans") == 0)
    bench.node.trigger_configure()
    bench.wait(lambda: bench.node.count_publishers("humans") == 1)
    bench.node.trigger_shutdown()
    bench.wait(lambda: bench.node.count_publishers("humans") == 0)


def test_life_cycle_by_service(make_bench: MakeBench) -> None:
    """As `ros2 lifecycle set` and lifecycle managers do it: while the node is spinning."""
    bench = make_bench(autostart=False)
    change = bench.client.create_client(ChangeState, "/pear/change_state")
    bench.wait(change.service_is_ready)

    def transition(number: int) -> None:
        request = ChangeState.Request(transition=Transition(id=number))
        answer = change.call_async(request)
        bench.wait(answer.done)
        assert answer.result().success

    transition(Transition.TRANSITION_CONFIGURE)
    transition(Transition.TRANSITION_ACTIVATE)
    humans = bench.subscribe(HumanArray, "humans")
    bench.publish(image(1))
    bench.wait_for(1, humans)
    transition(Transition.TRANSITION_DEACTIVATE)
    transition(Transition.TRANSITION_CLEANUP)
    transition(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)


def test_pipeline_that_cannot_be_built_is_said_and_can_be_tried_again(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(autostart=False)
    pipeline, bench.pipeline = bench.pipeline, None
    assert bench.node.trigger_configure() == TransitionCallbackReturn.FAILURE
    bench.pipeline = pipeline
    assert bench.node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert isinstance(bench.pipeline, TinyPipeline)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"field_of_view": 180.0}, "field_of_view must be from 1 to 179, not 180"),
        ({"field_of_view": "wide"}, "'field_of_view' to 'wide' of type 'STRING', expecting"),
        ({"field_of_view": 180}, "field_of_view must be from 1 to 179, not 180"),
        ({"transforms": True}, "transforms must be 'off' or 'roots' or 'joints', not 'on'"),
        ({"max_humans": 0}, "max_humans must be from 1 to 32, not 0"),
        ({"publish_vertices": "yes"}, "'publish_vertices'"),
        ({"image_transport": "theora"}, "image_transport must be 'raw' or 'compressed', not 'th"),
        ({"id_prefix": "1st"}, "id_prefix must match .*, not '1st'"),
    ],
)
def test_wrong_parameter_is_refused_at_the_start(
    make_bench: MakeBench, values: dict[str, Any], says: str
) -> None:
    with pytest.raises(ParameterError, match=says):
        make_bench(**values)


def test_parameters_while_running(bench: Bench) -> None:
    def reason(name: str, value: object) -> str:
        (result,) = bench.node.set_parameters([Parameter(name, value=value)])
        return "" if result.successful else result.reason

    assert reason("publish_vertices", True) == ""
    assert "field_of_view must be from 1 to 179, not 0.5" in reason("field_of_view", 0.5)
    assert "must be 'raw' or 'compressed'" in reason("image_transport", "theora")
    assert "deactivate and cleanup first" in reason("image_transport", "compressed")
    bench.node.trigger_deactivate()
    bench.node.trigger_cleanup()
    assert reason("image_transport", "compressed") == ""
    bench.node.trigger_configure()
    bench.node.trigger_activate()
    assert bench.node.count_subscribers("image/compressed") == 1


def test_values_are_taken_as_people_type_them(make_bench: MakeBench) -> None:
    """Of the types that YAML makes of them: off is a boolean, 70 is an integer."""
    typed = {"transforms": False, "field_of_view": 70, "smoothing": 0, "detection_classes": 1}
    expected = {"transforms": "off", "field_of_view": 70.0, "smoothing": False}
    expected["detection_classes"] = "1"

    def values(bench: Bench) -> dict[str, Any]:
        return {name: bench.node.get_parameter(name).value for name in typed}

    at_the_start = make_bench(**typed)
    assert repr(values(at_the_start)) == repr(expected)
    set_later = make_bench()
    for name, value in typed.items():
        assert reply(set_later, name, value) == ""
    assert repr(values(set_later)) == repr(expected)
    assert "transforms must be" in reply(set_later, "transforms", True)
    assert "must be from 1 to 179, not 180" in reply(set_later, "field_of_view", 180)


def reply(bench: Bench, name: str, value: Any) -> str:
    """Why the node's parameter service refuses a value, or ""."""
    request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
    client = bench.client.create_client(SetParameters, "/pear/set_parameters")
    bench.wait(client.service_is_ready)
    future = client.call_async(request)
    bench.wait(future.done)
    (result,) = future.result().results
    return "" if result.successful else result.reason


def test_every_parameter_is_described(bench: Bench) -> None:
    for name in ("autostart", "image_transport", "max_humans", "field_of_view", "publish_vertices"):
        descriptor = bench.node.describe_parameter(name)
        assert descriptor.description.endswith(".")
        assert descriptor.type != 0
        assert not descriptor.dynamic_typing
