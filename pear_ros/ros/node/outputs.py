# SPDX-License-Identifier: Apache-2.0
"""The node's publishers: what is sent, and that nothing is computed that nobody asked for."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, MultiDOFJointState, PointCloud2
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from pear_msgs.msg import BodyModelInfo, HumanArray
from pear_ros.body.joint_frames import JointFrames, arrays, placed, root_frames
from pear_ros.body.submesh import SubMesh
from pear_ros.core.parameters import MESH_DETAILS
from pear_ros.core.people import Array, Image, People, Person, TrackingState
from pear_ros.rendering.overlay import draw_overlay
from pear_ros.ros.conversion.clouds import vertex_cloud
from pear_ros.ros.conversion.joint_states import JointStateMessages
from pear_ros.ros.conversion.markers import MeshMarkers
from pear_ros.ros.conversion.messages import (
    body_model_info,
    human_array,
    image_message,
    jpeg_message,
)
from pear_ros.ros.conversion.transforms import TRANSFORMS_QOS, TransformMessages
from pear_ros.ros.node.metrics import Recorder

if TYPE_CHECKING:
    from pear_ros.pipeline import Pipeline

# Reliable, which suits every subscriber; the newest only, since a late result is worth nothing.
_NEWEST = QoSProfile(depth=1)
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Watched(NamedTuple):
    """Topics that have a subscriber."""

    humans: bool
    mesh_markers: bool
    overlay: bool
    overlay_compressed: bool
    points: bool
    body_joint_states: bool
    tf: bool
    """Never while `transforms` is off: on a robot, somebody always listens there."""


class Drawable(NamedTuple):
    """What is drawn of the body's mesh in one detail, and the messages that hold it."""

    mesh: SubMesh
    markers: MeshMarkers

    @classmethod
    def of(cls, faces: npt.NDArray[np.int32], vertex_count: int) -> Drawable:
        """Of a mesh (V, 3) the triangles `faces` (F, 3). Raises ValueError where F is 0."""
        mesh = SubMesh.of(faces, vertex_count)
        return cls(mesh, MeshMarkers(mesh.faces, mesh.vertex_count))


class Outputs:
    """Publishes `humans`, `mesh_markers`, `overlay` (raw and as JPEG), `points`,
    `body_joint_states`, `/tf` and latched `body_model`.
    """

    def __init__(self, node: LifecycleNode, pipeline: Pipeline) -> None:
        """Raises ValueError when the body has no faces."""
        self.transforms = "off"
        """What goes to /tf from the next image on: off, roots or joints."""
        self.mesh_detail = "full"
        """Of mesh_markers and overlay from the next image on, one of MESH_DETAILS."""
        self._pipeline = pipeline
        body = pipeline.body
        self._drawable = {
            detail: Drawable.of(body.faces_of(detail), body.vertex_count) for detail in MESH_DETAILS
        }
        self._frames = JointFrames(body.parents)
        self._transform_messages = TransformMessages(body.joint_names, body.parents)
        self._joint_state_messages = JointStateMessages(body.joint_names)
        self._shown: set[str] = set()

        def create(kind: type[Any], topic: str, profile: QoSProfile) -> LifecyclePublisher[Any]:
            return node.create_lifecycle_publisher(kind, topic, profile)

        self._humans = create(HumanArray, "humans", _NEWEST)
        self._markers = create(MarkerArray, "mesh_markers", _NEWEST)
        self._overlay = create(ImageMessage, "overlay", _NEWEST)
        self._overlay_compressed = create(CompressedImage, "overlay/compressed", _NEWEST)
        self._points = create(PointCloud2, "points", _NEWEST)
        # Not joint_states, which is the robot's own, nor of its type.
        self._joint_states = create(MultiDOFJointState, "body_joint_states", _NEWEST)
        # Transforms are of the whole system, so their topic is in no namespace.
        self._tf = create(TFMessage, "/tf", TRANSFORMS_QOS)
        self._of_images = (
            *(self._humans, self._markers, self._overlay, self._overlay_compressed),
            *(self._points, self._joint_states, self._tf),
        )
        self._body_model = create(BodyModelInfo, "body_model", _LATCHED)

    def destroy(self, node: LifecycleNode) -> None:
        """Takes the publishers off the node."""
        for publisher in (*self._of_images, self._body_model):
            node.destroy_lifecycle_publisher(publisher)

    def watched(self) -> Watched:
        """Which results somebody subscribes to at this moment."""
        watched = Watched(*(p.get_subscription_count() > 0 for p in self._of_images))
        return watched._replace(tf=watched.tf and self.transforms != "off")

    def publish_body_model(self) -> None:
        """Publishes the latched description of the body; once is enough."""
        self._body_model.publish(body_model_info(self._pipeline.body))

    def publish(
        self,
        watched: Watched,
        picture: Image,
        people: People,
        header: Header,
        recorder: Recorder,
        *,
        vertices: bool,
    ) -> None:
        """Publishes what is watched; `vertices`: with every mesh vertex in `humans`."""
        present = tuple(p for p in people.persons if p.state is not TrackingState.LOST)
        ids = [person.id for person in present]
        overlay = watched.overlay or watched.overlay_compressed
        meshes: Array | None = None
        if watched.mesh_markers or watched.points or overlay or (watched.humans and vertices):
            with recorder.stage("mesh"):
                meshes = self._pipeline.meshes(dataclasses.replace(people, persons=present))

        # Read once: another thread may change it in the middle of an image.
        drawable = self._drawable[self.mesh_detail]
        shown: Array | None = None
        if meshes is not None and (watched.mesh_markers or overlay):
            shown = drawable.mesh.take(meshes)
        drawn: Image | None = None
        if overlay and shown is not None:
            with recorder.stage("draw"):
                drawn = draw_overlay(picture, people.camera, shown, drawable.mesh.faces, ids)

        with recorder.stage("publish"):
            if watched.humans:
                by_id = dict(zip(ids, meshes, strict=True)) if meshes is not None else None
                self._humans.publish(human_array(people, header, by_id if vertices else None))
            if watched.mesh_markers and shown is not None:
                self._markers.publish(self._marker_bytes(drawable.markers, header, ids, shown))
            if watched.points and meshes is not None:
                self._points.publish(vertex_cloud(header, ids, meshes))
            if watched.tf or watched.body_joint_states:
                self._publish_frames(watched, placed(present), header)
            if watched.overlay and drawn is not None:
                self._overlay.publish(image_message(drawn, header))
            if watched.overlay_compressed and drawn is not None:
                self._overlay_compressed.publish(jpeg_message(drawn, header))

    def _publish_frames(self, watched: Watched, persons: list[Person], header: Header) -> None:
        """The same frames for /tf, which may want the roots alone, and `body_joint_states`."""
        ids = [person.id for person in persons]
        stamp = (header.stamp.sec, header.stamp.nanosec)
        poses, joints = arrays(persons)
        transforms = self.transforms
        every_joint = transforms == "joints" or watched.body_joint_states
        frames = self._frames(poses, joints) if every_joint else root_frames(poses, joints)
        if watched.tf and persons:
            wanted = frames if transforms == "joints" else frames[:, :1]
            message = self._transform_messages.serialize(header.frame_id, stamp, ids, wanted)
            self._tf.publish(message)
        if watched.body_joint_states:
            message = self._joint_state_messages.serialize(header.frame_id, stamp, ids, frames)
            self._joint_states.publish(message)

    def _marker_bytes(
        self, markers: MeshMarkers, header: Header, ids: list[str], meshes: Array
    ) -> bytes:
        """Markers of everyone present, and the removal of those shown before who are not."""
        lost = sorted(self._shown.difference(ids))
        self._shown = set(ids)
        stamp = (header.stamp.sec, header.stamp.nanosec)
        return markers.serialize(header.frame_id, stamp, ids, meshes, lost)
