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
from pear_ros.body.joint_frames import placed
from pear_ros.body.submesh import SubMesh
from pear_ros.core.moving import moved
from pear_ros.core.people import Array, People, Person, TrackingState
from pear_ros.core.rigid_transform import RigidTransform
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

    def __init__(
        self,
        pipeline: Pipeline,
        people: People,
        header: Header,
        target: tuple[str, RigidTransform] | None = None,
    ) -> None:
        """Take the `people` that `pipeline` found in the image with this `header`.

        `target`: the parameter target_frame and the pose of the optical frame in it; None: results
        are in the optical frame.
        """
        self._pipeline = pipeline
        self._people = people
        self.header = header
        self._pose = target and target[1]
        self.placed_header = Header(stamp=header.stamp, frame_id=target[0]) if target else header
        """Header of what is given in target_frame."""
        self.present = [one for one in people.persons if one.state is not TrackingState.LOST]
        """People who are in the image; the other ones have just been lost."""
        self.ids = [person.id for person in self.present]
        self.unread = [person.id for person in self.present if not person.pose_observed]
        """Ids of people whose body could not be read."""

    @cached_property
    def meshes(self) -> Array:
        """(N, V, 3) float32 vertices of the people present, in the optical frame, metres."""
        return self._pipeline.meshes(dataclasses.replace(self._people, persons=self.present))

    def placed(self, vertices: Array) -> Array:
        """Return `vertices` (N, V, 3) of the optical frame in the frame of `placed_header`."""
        return vertices if self._pose is None else self._pose.apply(vertices)

    def placed_people(self) -> list[Person]:
        """Return the people present, of finite pose, in the frame of `placed_header`."""
        people = placed(self.present)
        return people if self._pose is None else [moved(one, self._pose) for one in people]

    def humans(self, *, vertices: bool) -> HumanArray:
        """Return the message for `humans`, with every mesh vertex if `vertices`."""
        by_id = dict(zip(self.ids, self.meshes, strict=True)) if vertices else None
        return human_array(self._people, self.header, by_id)

    def markers(self, markers: MeshMarkers, shown: Array, before: Iterable[str]) -> bytes:
        """Return the serialised message for `mesh_markers`.

        `shown`: (N, V', 3) vertices of the mesh of `markers` in the optical frame; `before`: ids
        with a marker in the message before, which are deleted unless present.
        """
        stamp = (self.header.stamp.sec, self.header.stamp.nanosec)
        lost = sorted(set(before).difference(self.ids))
        frame_id, vertices = self.placed_header.frame_id, self.placed(shown)
        return markers.serialize(frame_id, stamp, self.ids, vertices, lost, self.unread)
