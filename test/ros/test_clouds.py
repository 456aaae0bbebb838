# SPDX-License-Identifier: Apache-2.0
"""Point clouds of vertices: made by sensor_msgs_py or without it, the same message."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2")

from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import PointCloud2, PointField

from pear_ros.ros.conversion import clouds
from pear_ros.ros.conversion.clouds import person_number, vertex_cloud
from testing.ros_bench import Bench, header, image
from testing.tiny_pipeline import TETRAHEDRON

HEADER = header(12.25)
MESHES = np.random.default_rng(3).normal(size=(2, 5, 3)).astype(np.float32)


@pytest.fixture(params=["sensor_msgs_py", "by hand"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param == "by hand":
        monkeypatch.setattr(clouds, "sensor_msgs_py_create_cloud", lambda: None)
    elif clouds.sensor_msgs_py_create_cloud() is None:
        pytest.skip("needs sensor_msgs_py of an installed ROS 2")
    yield request.param


def points_of(cloud: PointCloud2) -> np.ndarray:
    """The points as the message's own fields describe them."""
    types = {PointField.FLOAT32: "f4", PointField.UINT32: "u4"}
    assert all(field.count == 1 for field in cloud.fields)
    dtype = np.dtype(
        {
            "names": [field.name for field in cloud.fields],
            "formats": [types[field.datatype] for field in cloud.fields],
            "offsets": [field.offset for field in cloud.fields],
            "itemsize": cloud.point_step,
        }
    ).newbyteorder(">" if cloud.is_bigendian else "<")
    assert len(cloud.data) == cloud.row_step * cloud.height
    assert cloud.row_step == cloud.point_step * cloud.width
    return np.frombuffer(cloud.data, dtype)


@pytest.mark.usefixtures("way")
def test_vertices_of_all_people() -> None:
    cloud = vertex_cloud(HEADER, ["h3", "h70000"], MESHES)
    assert deserialize_message(serialize_message(cloud), PointCloud2) == cloud
    assert cloud.header == HEADER
    assert (cloud.height, cloud.width, cloud.is_dense) == (1, 10, False)
    points = points_of(cloud)
    assert points.dtype.names == ("x", "y", "z", "person")
    for index, name in enumerate("xyz"):
        np.testing.assert_array_equal(points[name], MESHES[..., index].ravel())
    np.testing.assert_array_equal(points["person"], [3] * 5 + [70000] * 5)


@pytest.mark.usefixtures("way")
def test_cloud_without_people() -> None:
    cloud = vertex_cloud(HEADER, [], np.empty((0, 5, 3), np.float32))
    assert (cloud.height, cloud.width, len(cloud.data)) == (1, 0, 0)
    assert points_of(cloud).dtype.names == ("x", "y", "z", "person")


@pytest.mark.parametrize(
    ("track_id", "number"),
    [("h1", 1), ("h042", 42), ("front2_h17", 17), ("nameless", 0), ("h4294967297", 1)],
)
def test_number_of_a_person(track_id: str, number: int) -> None:
    assert person_number(track_id) == number


@pytest.mark.usefixtures("way")
def test_points_from_the_node(bench: Bench) -> None:
    arrived = bench.subscribe(PointCloud2, "points")
    sent = image(12.25, 0, 2)
    bench.publish(sent)
    bench.wait_for(1, arrived)
    points = points_of(arrived[0])
    assert arrived[0].header == sent.header
    np.testing.assert_array_equal(points["person"], [1] * 4 + [3] * 4)
    places = np.stack([points[name] for name in "xyz"], axis=1)
    np.testing.assert_array_equal(places[4:], TETRAHEDRON + np.float32([2, 0, 5]))


@pytest.mark.usefixtures("way")
def test_lost_people_leave_the_cloud(bench: Bench) -> None:
    arrived = bench.subscribe(PointCloud2, "points")
    for second, squares in ((1, (0,)), (2, ())):
        bench.publish(image(second, *squares))
        bench.wait_for(second, arrived)
    assert [cloud.width for cloud in arrived] == [4, 0]
