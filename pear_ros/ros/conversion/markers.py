# SPDX-License-Identifier: Apache-2.0
"""Meshes as a serialised visualization_msgs/MarkerArray, without a Python object for each point.

About 80,000 geometry_msgs/Point objects for each person would take hundreds of milliseconds. Here
the message is serialised once for a set of ids; for each image only the corners of the triangles
are copied into it. The bytes are those of rclpy's own serialiser.

RViz needs one TRIANGLE_LIST per person with a constant number of points (its fast update
path), a `ns` for each person, and DELETE for people who are lost.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from pear_ros.core.people import Array
from pear_ros.rendering.colours import FAINT, id_colour
from pear_ros.ros.conversion.cdr import CdrWriter, MessageTemplate, number_indices

LIFETIME_SECONDS = 0.5
"""RViz removes a marker that is not updated within this time, as when the node stops."""

_TRIANGLE_LIST = 11
_ADD, _DELETE = 0, 2
_POINT_BYTES = 24  # geometry_msgs/Point: three float64

Float64 = npt.NDArray[np.float64]


class MeshMarkers:
    """Serialise the meshes of one body model; not thread-safe."""

    def __init__(self, faces: npt.NDArray[np.integer], vertex_count: int) -> None:
        """Take the `faces` (F, 3): indices of vertices, all below `vertex_count`, F at least 1.

        Raises ValueError otherwise; RViz reports a marker without points as an error.
        """
        corners = np.asarray(faces).astype(np.intp).ravel()
        if corners.size == 0 or corners.size % 3:
            raise ValueError("a mesh marker needs at least one triangle of three corners")
        if corners.min() < 0 or corners.max() >= vertex_count:
            raise ValueError(f"faces name vertices outside 0 to {vertex_count - 1}")
        self._corners = corners
        self._vertices = np.empty((vertex_count, 3), np.float64)
        self._key: tuple[str, tuple[str, ...], tuple[str, ...], frozenset[str]] | None = None
        self._template: MessageTemplate
        self._stamps: npt.NDArray[np.intp]
        """(N, 2) indices of seconds and nanoseconds of each marker, as int32."""
        self._points: list[Float64]
        """(3 F, 3) corners of each mesh, in the template."""

    def serialize(
        self,
        frame_id: str,
        stamp: tuple[int, int],
        ids: Sequence[str],
        meshes: Array,
        lost: Sequence[str] = (),
        faint: Collection[str] = (),
    ) -> bytes:
        """Return a MarkerArray with `meshes` (N, V, 3), one for each of `ids`, that deletes `lost`.

        Vertices are in metres in the frame `frame_id`; NaN and infinities are kept. `frame_id` and
        `stamp` (seconds, nanoseconds): those of the image. Meshes of `faint` ids are translucent:
        people whose body was not observed.
        """
        key = (frame_id, tuple(ids), tuple(lost), frozenset(faint))
        if key != self._key:
            self._lay_out(*key)
            self._key = key
        self._template.int32[self._stamps] = stamp
        for points, mesh in zip(self._points, meshes, strict=True):
            # Converted before the gather: each vertex is used six times.
            self._vertices[:] = mesh
            # Any mode but "raise" lets NumPy write straight into `out`; indices were checked.
            np.take(self._vertices, self._corners, axis=0, out=points, mode="clip")
        return self._template.tobytes()

    def _lay_out(
        self, frame_id: str, ids: Sequence[str], lost: Sequence[str], faint: Collection[str]
    ) -> None:
        writer = CdrWriter()
        stamps: list[int] = []
        points: list[int] = []
        writer.write("I", len(ids) + len(lost))
        for track_id in ids:
            alpha = FAINT if track_id in faint else 1.0
            self._lay_out_marker(writer, frame_id, track_id, _ADD, stamps, points, alpha)
        for track_id in lost:
            self._lay_out_marker(writer, frame_id, track_id, _DELETE, stamps, points)
        self._template = MessageTemplate(writer)
        self._stamps = number_indices(stamps, 2, 4)
        size = self._corners.size * _POINT_BYTES
        self._points = [
            self._template.float64[at // 8 : (at + size) // 8].reshape(-1, 3) for at in points
        ]

    def _lay_out_marker(
        self,
        writer: CdrWriter,
        frame_id: str,
        track_id: str,
        action: int,
        stamps: list[int],
        points: list[int],
        alpha: float = 1.0,
    ) -> None:
        """Write one visualization_msgs/Marker, field by field."""
        shown = action == _ADD
        writer.align(4)
        stamps.append(writer.reserve(8))
        writer.string(frame_id)
        writer.string(track_id)  # ns
        writer.write("i", 0, _TRIANGLE_LIST, action)  # id, type, action
        writer.write("d", 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)  # pose
        writer.write("d", 1.0, 1.0, 1.0)  # scale
        writer.write("f", *id_colour(track_id), alpha)
        writer.write("i", 0)  # lifetime, whole seconds
        writer.write("I", round(LIFETIME_SECONDS * 1e9))
        writer.write("B", False)  # frame_locked
        writer.write("I", self._corners.size if shown else 0)
        if shown:
            writer.align(8)
            points.append(writer.reserve(self._corners.size * _POINT_BYTES))
        writer.write("I", 0)  # colors
        writer.string("")  # texture_resource
        writer.write("I", 0, 0)  # texture: stamp
        writer.string("")  # texture: frame_id
        writer.string("")  # texture: format
        writer.write("I", 0)  # texture: data
        writer.write("I", 0)  # uv_coordinates
        writer.string("")  # text
        writer.string("")  # mesh_resource
        writer.string("")  # mesh_file: filename
        writer.write("I", 0)  # mesh_file: data
        writer.write("B", False)  # mesh_use_embedded_materials
