# SPDX-License-Identifier: Apache-2.0
"""The people of one image as messages: what the node publishes and what replay writes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from std_msgs.msg import Header

from pear_msgs.msg import HumanArray
from pear_ros.body.submesh import SubMesh
from pear_ros.core.people import Array, People, TrackingState
from pear_ros.ros.conversion.markers import MeshMarkers
from pear_ros.ros.conversion.messages import human_array

if TYPE_CHECKING:
    from pear_ros.core.estimator import Body
    from pear_ros.pipeline import Pipeline


class DetailedMesh(NamedTuple):
    """The body's mesh in one detail, and the messages that hold it."""

    mesh: SubMesh
    markers: MeshMarkers

    @classmethod
    def of(cls, body: Body, detail: str) -> DetailedMesh:
        """Return the mesh of `body` in a `detail` of MESH_DETAILS. ValueError: it is empty."""
        faces: npt.NDArray[np.int32] = body.faces_of(detail)
        mesh = SubMesh.of(faces, body.vertex_count)
        return cls(mesh, MeshMarkers(mesh.faces, mesh.vertex_count))


class ImageResults:
    """The results of one image; meshes are computed when first needed, once for all messages."""

    def __init__(self, pipeline: Pipeline, people: People, header: Header) -> None:
        """Take the `people` that `pipeline` found in the image with this `header`."""
        self._pipeline = pipeline
        self._people = people
        self.header = header
        self.present = [one for one in people.persons if one.state is not TrackingState.LOST]
        """People who are in the image; the other ones have just been lost."""
        self.ids = [person.id for person in self.present]
        self.unread = [person.id for person in self.present if not person.pose_observed]
        """Ids of people whose body could not be read."""

    @cached_property
    def meshes(self) -> Array:
        """(N, V, 3) float32 vertices of the people present, in the optical frame, metres."""
        return self._pipeline.meshes(dataclasses.replace(self._people, persons=self.present))

    def humans(self, *, vertices: bool) -> HumanArray:
        """Return the message for `humans`, with every mesh vertex if `vertices`."""
        by_id = dict(zip(self.ids, self.meshes, strict=True)) if vertices else None
        return human_array(self._people, self.header, by_id)

    def markers(self, markers: MeshMarkers, shown: Array, before: Iterable[str]) -> bytes:
        """Return the serialised message for `mesh_markers`.

        `shown`: (N, V', 3) vertices of the mesh of `markers`; `before`: ids with a marker in the
        message before, which are deleted unless present.
        """
        stamp = (self.header.stamp.sec, self.header.stamp.nanosec)
        lost = sorted(set(before).difference(self.ids))
        return markers.serialize(self.header.frame_id, stamp, self.ids, shown, lost, self.unread)
