# SPDX-License-Identifier: Apache-2.0
"""The node's results as messages in a bag."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rclpy.serialization import serialize_message
from rosbags.typesys import Stores
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from pear_msgs.msg import BodyModelInfo, HumanArray
from pear_ros.bags.parts import NewTopic
from pear_ros.bags.pear_messages import pear_typestore
from pear_ros.bags.writing import offered, type_name
from pear_ros.body.submesh import SubMesh
from pear_ros.core.people import People, TrackingState
from pear_ros.ros.conversion.markers import MeshMarkers
from pear_ros.ros.conversion.messages import body_model_info, human_array

if TYPE_CHECKING:
    from pear_ros.pipeline import Pipeline

HUMANS, BODY_MODEL, MARKERS = "/humans", "/body_model", "/mesh_markers"


class ResultMessages:
    """Serialises results as the node publishes them, and says of which topics they are."""

    def __init__(
        self, pipeline: Pipeline, *, vertices: bool, markers: bool, mesh_detail: str
    ) -> None:
        """`vertices`: every mesh vertex in `humans`; `markers`: with `mesh_markers`, in that
        `mesh_detail`, one of pear_ros.core.choice.MESH_DETAILS.
        """
        body = pipeline.body
        self._pipeline = pipeline
        self._vertices = vertices
        self._mesh = SubMesh.of(body.faces_of(mesh_detail), body.vertex_count)
        self._markers = MeshMarkers(self._mesh.faces, self._mesh.vertex_count) if markers else None
        types = pear_typestore(Stores.ROS2_JAZZY)
        assert types is not None, "pear_msgs can be imported, so its definitions are there"
        self._types = types
        self.shown: list[str] = []
        """Ids whose markers are there, after the last frame."""

    def topics(self) -> list[NewTopic]:
        """To be written, with the definitions of this package's messages."""
        kinds = {HUMANS: HumanArray, BODY_MODEL: BodyModelInfo}
        if self._markers:
            kinds[MARKERS] = MarkerArray
        return [
            NewTopic(name, type_name(kind), self._types, [offered(latched=name == BODY_MODEL)])
            for name, kind in kinds.items()
        ]

    def body_model(self) -> tuple[str, bytes]:
        """Topic and latched description of the body."""
        return BODY_MODEL, self._serialized(body_model_info(self._pipeline.body))

    def of(self, people: People, header: Header) -> Iterator[tuple[str, bytes]]:
        """Topic and message of each result of one image with this header."""
        present = [p for p in people.persons if p.state is not TrackingState.LOST]
        ids = [person.id for person in present]
        meshes = None
        if self._vertices or self._markers:
            meshes = self._pipeline.meshes(dataclasses.replace(people, persons=present))
        by_id = dict(zip(ids, meshes, strict=True)) if meshes is not None else None
        humans = human_array(people, header, by_id if self._vertices else None)
        yield HUMANS, self._serialized(humans)
        if self._markers and meshes is not None:
            stamp = (header.stamp.sec, header.stamp.nanosec)
            lost = sorted(set(self.shown).difference(ids))
            shown = self._mesh.take(meshes)
            yield MARKERS, self._markers.serialize(header.frame_id, stamp, ids, shown, lost)
        self.shown = ids

    def _serialized(self, message: Any) -> bytes:
        """As rclpy does it, but with zeros between the fields, where it leaves what was there."""
        kind = type_name(type(message))
        fields = self._types.deserialize_cdr(serialize_message(message), kind)
        return bytes(self._types.serialize_cdr(fields, kind))
