# SPDX-License-Identifier: Apache-2.0
"""Vertices of people as sensor_msgs/PointCloud2.

The message is made by sensor_msgs_py if an installed ROS 2 has it, else here. Of the packages that
pip offers for this, pointcloud2 does not support ROS messages and ros2-numpy requires an old NumPy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Header

from pear_ros.core.people import Array

POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("person", "<u4")])
"""One point: position in metres in the image's frame, and the number in the track id."""

_FIELDS = [
    *(
        PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
        for index, name in enumerate("xyz")
    ),
    PointField(name="person", offset=12, datatype=PointField.UINT32, count=1),
]


def vertex_cloud(header: Header, ids: Sequence[str], meshes: Array) -> PointCloud2:
    """Return the PointCloud2 of `meshes` (N, V, 3), metres, one for each of `ids`.

    `header`: that of the image, in whose frame the vertices are.
    """
    people, vertices = meshes.shape[:2]
    points = np.empty((people, vertices), POINT)
    points.view("<f4").reshape(people, vertices, 4)[..., :3] = meshes
    points["person"] = np.array([person_number(i) for i in ids], "<u4").reshape(-1, 1)
    return cloud_message(header, points.ravel())


def person_number(track_id: str) -> int:
    """Return the number at the end of a track id; 0 if it has none."""
    found = re.search(r"\d+$", track_id, re.ASCII)
    return int(found[0]) % 2**32 if found else 0


def cloud_message(header: Header, points: npt.NDArray[np.void]) -> PointCloud2:
    """Return the PointCloud2 of `points` (n,) of the type POINT."""
    create_cloud = sensor_msgs_py_create_cloud()
    if create_cloud is not None:
        return create_cloud(header, _FIELDS, points)
    message = PointCloud2(
        header=header,
        height=1,
        width=len(points),
        fields=_FIELDS,
        is_bigendian=False,
        point_step=POINT.itemsize,
        row_step=POINT.itemsize * len(points),
        is_dense=False,
    )
    # The field itself: constructor and setter would copy once more.
    message.data.frombytes(points.view(np.uint8).data)
    return message


@cache
def sensor_msgs_py_create_cloud() -> Any | None:
    """Return sensor_msgs_py.point_cloud2.create_cloud of an installed ROS 2; None if missing."""
    try:
        from sensor_msgs_py.point_cloud2 import create_cloud
    except ImportError:
        return None
    return create_cloud
