# SPDX-License-Identifier: Apache-2.0
"""The serialised mesh markers against rclpy's own serialiser, and what RViz needs of them."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy", reason="needs ROS 2")

from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, Pose, Quaternion, Vector3
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from pear_ros.body import load_open_body
from pear_ros.body.submesh import SubMesh
from pear_ros.core.parameters import MESH_DETAILS
from pear_ros.rendering.colours import id_colour
from pear_ros.ros.conversion.markers import MeshMarkers

FACES = np.array([[0, 1, 2], [2, 1, 3]], np.int32)
M_PERTURB = -6
LONG = "frame" * 220


@pytest.fixture(autouse=True, scope="module")
def zeroed_padding() -> Iterator[None]:
    """CDR leaves alignment gaps undefined and rclpy sends what memory held; here that is zero.

    glibc fills new memory with the complement of a byte of our choice, but for small blocks that it
    recycles: so messages are made longer than those, by a long frame_id.
    """
    libc = ctypes.CDLL(None)
    libc.mallopt(M_PERTURB, 0xFF)
    yield
    libc.mallopt(M_PERTURB, 0)


def marker_array(
    frame_id: str, stamp: tuple[int, int], ids: list[str], corners: np.ndarray, lost: list[str]
) -> MarkerArray:
    """The same message in rclpy's ordinary way."""

    def marker(track_id: str, action: int, points: np.ndarray) -> Marker:
        red, green, blue = id_colour(track_id)
        return Marker(
            header=Header(frame_id=frame_id, stamp=Time(sec=stamp[0], nanosec=stamp[1])),
            ns=track_id,
            id=0,
            type=Marker.TRIANGLE_LIST,
            action=action,
            pose=Pose(orientation=Quaternion(w=1.0)),
            scale=Vector3(x=1.0, y=1.0, z=1.0),
            color=ColorRGBA(r=red, g=green, b=blue, a=1.0),
            lifetime=Duration(nanosec=500_000_000),
            points=[Point(x=x, y=y, z=z) for x, y, z in points.tolist()],
        )

    shown = [marker(i, Marker.ADD, p) for i, p in zip(ids, corners, strict=True)]
    return MarkerArray(markers=shown + [marker(i, Marker.DELETE, np.empty((0, 3))) for i in lost])


# No NUL, which ends strings in ROS.
names = st.text(max_size=9).map(lambda name: name.replace("\0", ""))


@st.composite
def scenes(draw: st.DrawFn) -> dict[str, object]:
    vertex_count = draw(st.integers(1, 6))
    vertex = st.integers(0, vertex_count - 1)
    faces = draw(st.lists(st.tuples(vertex, vertex, vertex), min_size=1, max_size=7))
    ids = draw(st.lists(names, max_size=4, unique=True))
    coordinate = st.floats(width=32, allow_nan=False)
    shape = (len(ids), vertex_count, 3)
    size = int(np.prod(shape))
    values = draw(st.lists(coordinate, min_size=size, max_size=size))
    return {
        "frame_id": LONG + draw(names),
        "stamp": (draw(st.integers(-(2**31), 2**31 - 1)), draw(st.integers(0, 10**9 - 1))),
        "faces": np.array(faces, np.int32),
        "ids": ids,
        "meshes": np.array(values, np.float32).reshape(shape),
        "lost": draw(st.lists(names, max_size=3)),
    }


def check(markers: MeshMarkers, faces: np.ndarray, scene: dict[str, object]) -> None:
    frame_id, stamp, ids = scene["frame_id"], scene["stamp"], scene["ids"]
    meshes, lost = scene["meshes"], scene["lost"]
    corners = meshes[:, faces.ravel()]
    expected = serialize_message(marker_array(frame_id, stamp, ids, corners, lost))
    assert markers.serialize(frame_id, stamp, ids, meshes, lost) == expected


@given(scene=scenes())
def test_bytes_are_those_of_rclpy(scene: dict[str, object]) -> None:
    faces = scene["faces"]
    check(MeshMarkers(faces, scene["meshes"].shape[1]), faces, scene)


@pytest.mark.parametrize("detail", MESH_DETAILS)
def test_bytes_are_those_of_rclpy_in_every_detail(detail: str) -> None:
    body = load_open_body()
    faces = body.faces_of(detail)
    shown = SubMesh.of(faces, body.vertex_count)
    meshes = np.stack([body.v_template, body.v_template + np.float32(1.0)])
    expected = serialize_message(
        marker_array(LONG, (1, 2), ["h1", "h2"], meshes[:, faces.ravel()], ["h3"])
    )
    markers = MeshMarkers(shown.faces, shown.vertex_count)
    assert markers.serialize(LONG, (1, 2), ["h1", "h2"], shown.take(meshes), ["h3"]) == expected


@given(data=st.data())
def test_bytes_are_those_of_rclpy_from_image_to_image(data: st.DataObject) -> None:
    """One object serves a sequence in which ids come, stay, change places and go."""
    markers = MeshMarkers(FACES, 4)
    people = st.lists(st.sampled_from(["h1", "h2", "h31"]), unique=True)
    for second in range(data.draw(st.integers(2, 5))):
        ids = data.draw(people)
        scene = {
            "frame_id": LONG + data.draw(st.sampled_from(["camera", "c"])),
            "stamp": (second, 7),
            "ids": ids,
            "meshes": np.random.default_rng(second).normal(size=(len(ids), 4, 3)).astype("f4"),
            "lost": data.draw(people),
        }
        check(markers, FACES, scene)


def test_not_a_number_is_passed_on() -> None:
    meshes = np.full((1, 4, 3), np.nan, np.float32)
    message = deserialize_message(
        MeshMarkers(FACES, 4).serialize("camera", (1, 2), ["h1"], meshes), MarkerArray
    )
    assert np.isnan(message.markers[0].points[0].x)


def test_what_rviz_needs() -> None:
    meshes = np.zeros((2, 4, 3), np.float32)
    markers = MeshMarkers(FACES, 4)
    message = deserialize_message(
        markers.serialize("camera", (5, 6), ["h1", "h2"], meshes, ["h3"]), MarkerArray
    )
    one, two, gone = message.markers
    assert (one.action, two.action, gone.action) == (Marker.ADD, Marker.ADD, Marker.DELETE)
    assert len({(m.ns, m.id) for m in message.markers}) == 3
    assert one.color.a == 1.0
    assert (one.color.r, one.color.g) != (two.color.r, two.color.g)
    assert len(one.points) == FACES.size
    assert len(one.colors) == 0
    assert not gone.points


def test_earlier_bytes_stay_as_they_were() -> None:
    markers = MeshMarkers(FACES, 4)
    first = markers.serialize("camera", (1, 0), ["h1"], np.zeros((1, 4, 3), np.float32))
    copy = bytes(bytearray(first))
    markers.serialize("camera", (2, 0), ["h1"], np.ones((1, 4, 3), np.float32))
    assert first == copy


@pytest.mark.parametrize(
    ("faces", "says"),
    [
        (np.empty((0, 3), int), "at least one triangle"),
        (np.array([[0, 1, 4]]), "outside 0 to 3"),
        (np.array([[0, -1, 2]]), "outside 0 to 3"),
    ],
)
def test_impossible_faces_are_refused(faces: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        MeshMarkers(faces, 4)


def test_meshes_must_match_ids() -> None:
    with pytest.raises(ValueError, match="shorter"):
        MeshMarkers(FACES, 4).serialize("c", (0, 0), ["h1", "h2"], np.zeros((1, 4, 3), np.float32))
