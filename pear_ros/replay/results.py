# SPDX-License-Identifier: Apache-2.0
"""The results that replay writes, serialised as the node publishes them."""

from __future__ import annotations

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
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import People
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.ros.conversion.messages import body_model_info
from pear_ros.ros.conversion.results import DetailedMesh, ImageResults

if TYPE_CHECKING:
    from pear_ros.pipeline import Pipeline

HUMANS, BODY_MODEL, MARKERS = "/humans", "/body_model", "/mesh_markers"


class ResultSerializer:
    """Serialise the results of images."""

    def __init__(self, pipeline: Pipeline, parameters: Parameters, markers: bool) -> None:
        """Serialise results of `pipeline`, with `mesh_markers` if `markers`."""
        self._pipeline = pipeline
        self._vertices = parameters.publish_vertices
        self._target_frame = parameters.target_frame
        self._mesh = DetailedMesh.of(pipeline.body, parameters.mesh_detail) if markers else None
        types = pear_typestore(Stores.ROS2_JAZZY)
        assert types is not None, "pear_msgs can be imported, so its definitions are there"
        self._types = types
        self.marked: list[str] = []
        """Ids that have a marker after the last image."""

    def topics(self) -> list[NewTopic]:
        """Return the topics of the results, with the definitions of their types."""
        kinds = {HUMANS: HumanArray, BODY_MODEL: BodyModelInfo}
        if self._mesh:
            kinds[MARKERS] = MarkerArray
        return [
            NewTopic(name, type_name(kind), self._types, [offered(latched=name == BODY_MODEL)])
            for name, kind in kinds.items()
        ]

    def body_model(self) -> tuple[str, bytes]:
        """Return topic and message of the latched description of the body."""
        return BODY_MODEL, self._serialize(body_model_info(self._pipeline.body))

    def serialize(
        self, people: People, header: Header, camera_pose: RigidTransform | None = None
    ) -> Iterator[tuple[str, bytes]]:
        """Yield topic and message of each result of the image with this `header`.

        `camera_pose`: of the optical frame in target_frame; None: results are in the former.
        """
        target = None if camera_pose is None else (self._target_frame, camera_pose)
        results = ImageResults(self._pipeline, people, header, target)
        yield HUMANS, self._serialize(results.humans(vertices=self._vertices))
        if self._mesh:
            mesh, markers = self._mesh
            shown = mesh.take(results.meshes)
            yield MARKERS, results.markers(markers, shown, self.marked)
        self.marked = results.ids

    def _serialize(self, message: Any) -> bytes:
        """CDR as of rclpy, but with zeros as padding, where rclpy leaves arbitrary bytes."""
        kind = type_name(type(message))
        fields = self._types.deserialize_cdr(serialize_message(message), kind)
        return bytes(self._types.serialize_cdr(fields, kind))
