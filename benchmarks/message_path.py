# SPDX-License-Identifier: Apache-2.0
"""Latency of one person's mesh marker from vertices to published, against plain rclpy.

    python -m benchmarks.message_path

The open body (all its triangles) goes out as a visualization_msgs/MarkerArray on a real reliable
publisher, alternating: by pear_ros.ros.conversion.markers, as bytes; and as geometry_msgs/Point
objects in a message. The bytes of both are equal but for alignment gaps. Measured without a
subscriber, and with one in a second process that receives every message. Writes
benchmarks/results/message_path.md.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import rclpy
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from benchmarks.report import write_report
from pear_ros.body import load_open_body
from pear_ros.core.people import Array
from pear_ros.rendering.colours import id_colour
from pear_ros.ros.conversion.markers import LIFETIME_SECONDS, MeshMarkers

FAST_RUNS, ORDINARY_RUNS = 200, 15
TOPIC = "mesh_markers"
FRAME, ID, STAMP = "camera_optical_frame", "h1", (1, 2)


def subscriber() -> None:
    """Receive serialised messages until the process is killed."""
    rclpy.init()
    node = Node("subscriber")
    node.create_subscription(MarkerArray, TOPIC, lambda data: None, QoSProfile(depth=1), raw=True)
    rclpy.spin(node)


def ordinary_message(vertices: Array, corners: npt.NDArray[np.int32]) -> MarkerArray:
    """Return the message as rclpy users write it."""
    red, green, blue = id_colour(ID)
    marker = Marker(
        header=Header(frame_id=FRAME, stamp=Time(sec=STAMP[0], nanosec=STAMP[1])),
        ns=ID,
        type=Marker.TRIANGLE_LIST,
        action=Marker.ADD,
        pose=Pose(orientation=Quaternion(w=1.0)),
        scale=Vector3(x=1.0, y=1.0, z=1.0),
        color=ColorRGBA(r=red, g=green, b=blue, a=1.0),
        lifetime=Duration(nanosec=round(LIFETIME_SECONDS * 1e9)),
        points=[Point(x=x, y=y, z=z) for x, y, z in vertices[corners].tolist()],
    )
    return MarkerArray(markers=[marker])


def milliseconds(call: Callable[[], None], runs: int) -> list[float]:
    """Return the duration of each run, milliseconds."""
    durations = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        durations.append(1e3 * (time.perf_counter() - start))
    return durations


@contextmanager
def subscribed_to(
    publisher: rclpy.publisher.Publisher[MarkerArray], subscribed: bool
) -> Iterator[None]:
    """Run the block with a subscriber in a second process, or without (`subscribed` False)."""
    if not subscribed:
        yield
        return
    code = "from benchmarks.message_path import subscriber; subscriber()"
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        while publisher.get_subscription_count() == 0:
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def main() -> int:
    """Measure and write the report. 1 when the fast way is less than 100 times faster."""
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 100)
    body = load_open_body()
    corners = body.faces.ravel()
    meshes = body.v_template[None]
    markers = MeshMarkers(body.faces, body.vertex_count)
    rclpy.init()
    node = Node("publisher")
    publisher = node.create_publisher(MarkerArray, TOPIC, QoSProfile(depth=1))

    def fast() -> None:
        publisher.publish(markers.serialize(FRAME, STAMP, [ID], meshes))

    def ordinary() -> None:
        publisher.publish(ordinary_message(meshes[0], corners))

    ours = markers.serialize(FRAME, STAMP, [ID], meshes)
    theirs = serialize_message(ordinary_message(meshes[0], corners))
    if deserialize_message(ours, MarkerArray) != deserialize_message(theirs, MarkerArray):
        raise AssertionError("the two messages differ")

    rows, ratios = [], []
    for subscribed in (False, True):
        with subscribed_to(publisher, subscribed):
            milliseconds(fast, 10)
            slow, quick = [], []
            for _ in range(ORDINARY_RUNS):
                slow += milliseconds(ordinary, 1)
                quick += milliseconds(fast, FAST_RUNS // ORDINARY_RUNS)
        ratios.append(statistics.median(slow) / statistics.median(quick))
        rows.append(
            [
                "in a second process" if subscribed else "none",
                f"{statistics.median(slow):.0f}",
                f"{statistics.median(quick):.2f}",
                f"{np.percentile(quick, 95):.2f}",
                f"{ratios[-1]:.0f}",
            ]
        )
    rclpy.shutdown()
    size = f"{body.vertex_count:,} vertices, {len(body.faces):,} triangles, {corners.size:,} points"
    headings = ["subscriber", "rclpy ms", "ours ms", "ours ms, 95th percentile", "times faster"]
    write_report("message_path", str(__doc__), {f"Median of {size}": (headings, rows)})
    return int(min(ratios) < 100.0)


if __name__ == "__main__":
    sys.exit(main())
