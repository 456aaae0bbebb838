# SPDX-License-Identifier: Apache-2.0
"""The node's publishers. Nothing is computed for topics without a subscriber."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CompressedImage, MultiDOFJointState, PointCloud2
from sensor_msgs.msg import Image as ImageMessage
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from pear_msgs.msg import BodyModelInfo, HumanArray
from pear_ros.body.joint_frames import JointFrames, arrays, placed, root_frames
from pear_ros.core.device_image import DeviceImage, on_cpu
from pear_ros.core.parameters import MESH_DETAILS, Parameters
from pear_ros.core.people import Array, Image, People, Person
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.rendering.overlay import draw_overlay
from pear_ros.ros.conversion.clouds import vertex_cloud
from pear_ros.ros.conversion.joint_states import JointStateMessages
from pear_ros.ros.conversion.messages import body_model_info, image_message, jpeg_message
from pear_ros.ros.conversion.results import DetailedMesh, ImageResults
from pear_ros.ros.conversion.transforms import TRANSFORMS_QOS, TransformMessages
from pear_ros.ros.node.image_statistics import StatisticsCollector

if TYPE_CHECKING:
    from pear_ros.pipeline import Pipeline

# Reliable, which every subscriber can receive; only the newest, since a late result is useless.
_NEWEST = QoSProfile(depth=1)
_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Watched(NamedTuple):
    """Whether each topic of results has a subscriber."""

    humans: bool
    mesh_markers: bool
    overlay: bool
    overlay_compressed: bool
    points: bool
    body_joint_states: bool
    tf: bool
    """Whether /tf is published: the parameter transforms, as a robot always subscribes to /tf."""


class Outputs:
    """Publish `humans`, `mesh_markers`, `overlay`, `points`, `body_joint_states` and `/tf`.

    `overlay` is published raw and as JPEG; `body_model` is latched.
    """

    def __init__(self, node: LifecycleNode, pipeline: Pipeline) -> None:
        """Create the publishers on `node`. Raises ValueError if the body has no faces."""
        self._pipeline = pipeline
        body = pipeline.body
        self._meshes = {detail: DetailedMesh.of(body, detail) for detail in MESH_DETAILS}
        self._frames = JointFrames(body.parents)
        self._transform_messages = TransformMessages(body.joint_names, body.parents)
        self._joint_state_messages = JointStateMessages(body.joint_names)
        self._marked: list[str] = []
        """Ids that have a marker."""

        def create(kind: type[Any], topic: str, profile: QoSProfile) -> LifecyclePublisher[Any]:
            return node.create_lifecycle_publisher(kind, topic, profile)

        self._humans = create(HumanArray, "humans", _NEWEST)
        self._markers = create(MarkerArray, "mesh_markers", _NEWEST)
        self._overlay = create(ImageMessage, "overlay", _NEWEST)
        self._overlay_compressed = create(CompressedImage, "overlay/compressed", _NEWEST)
        self._points = create(PointCloud2, "points", _NEWEST)
        # Not joint_states: that topic, with another type, is the robot's own.
        self._joint_states = create(MultiDOFJointState, "body_joint_states", _NEWEST)
        # Transforms concern the whole system, so their topic has no namespace.
        self._tf = create(TFMessage, "/tf", TRANSFORMS_QOS)
        self._of_images = (
            *(self._humans, self._markers, self._overlay, self._overlay_compressed),
            *(self._points, self._joint_states, self._tf),
        )
        self._body_model = create(BodyModelInfo, "body_model", _LATCHED)

    def destroy(self, node: LifecycleNode) -> None:
        """Remove the publishers from `node`."""
        for publisher in (*self._of_images, self._body_model):
            node.destroy_lifecycle_publisher(publisher)

    def watched(self, parameters: Parameters) -> Watched:
        """Return which results have a subscriber at this moment."""
        watched = Watched(*(p.get_subscription_count() > 0 for p in self._of_images))
        return watched._replace(tf=watched.tf and parameters.transforms != "off")

    def publish_body_model(self) -> None:
        """Publish the latched description of the body; once is enough."""
        self._body_model.publish(body_model_info(self._pipeline.body))

    def publish(
        self,
        watched: Watched,
        image: Image | DeviceImage,
        people: People,
        header: Header,
        camera_pose: RigidTransform | None,
        statistics: StatisticsCollector,
        parameters: Parameters,
    ) -> None:
        """Publish the `watched` results of `image`, whose message had this `header`.

        `camera_pose`: of the optical frame in target_frame; None: results are in the former.
        """
        target = None if camera_pose is None else (parameters.target_frame, camera_pose)
        results = ImageResults(self._pipeline, people, header, target)
        vertices = watched.humans and parameters.publish_vertices
        overlay = watched.overlay or watched.overlay_compressed
        if watched.mesh_markers or watched.points or overlay or vertices:
            with statistics.stage("mesh"):
                meshes = results.meshes
        mesh, markers = self._meshes[parameters.mesh_detail]
        if watched.mesh_markers or overlay:
            shown: Array = mesh.take(meshes)
        if overlay:
            with statistics.stage("draw"):
                drawn = draw_overlay(
                    on_cpu(image),
                    people.camera,
                    shown,
                    mesh.faces,
                    results.ids,
                    faint=results.unread,
                )

        with statistics.stage("publish"):
            if watched.humans:
                self._humans.publish(results.humans(vertices=vertices))
            if watched.mesh_markers:
                self._markers.publish(results.markers(markers, shown, self._marked))
                self._marked = results.ids
            if watched.points:
                cloud = vertex_cloud(results.placed_header, results.ids, results.placed(meshes))
                self._points.publish(cloud)
            if watched.tf:
                every_joint = parameters.transforms == "joints"
                self._publish_transforms(placed(results.present), header, every_joint)
            if watched.body_joint_states:
                self._publish_joint_states(results.placed_people(), results.placed_header)
            if watched.overlay:
                self._overlay.publish(image_message(drawn, header))
            if watched.overlay_compressed:
                self._overlay_compressed.publish(jpeg_message(drawn, header))

    def _publish_transforms(self, persons: list[Person], header: Header, every_joint: bool) -> None:
        """Publish /tf, with `every_joint` or the roots only."""
        if persons:
            poses, joints = arrays(persons)
            frames = self._frames(poses, joints) if every_joint else root_frames(poses, joints)
            message = self._transform_messages.serialize(*_of(header, persons), frames)
            self._tf.publish(message)

    def _publish_joint_states(self, persons: list[Person], header: Header) -> None:
        """Publish `body_joint_states`, of which the roots are in the frame of `header`."""
        frames = self._frames(*arrays(persons))
        message = self._joint_state_messages.serialize(*_of(header, persons), frames)
        self._joint_states.publish(message)


def _of(header: Header, persons: list[Person]) -> tuple[str, tuple[int, int], list[str]]:
    """Frame, stamp (seconds, nanoseconds) and ids of people."""
    stamp = (header.stamp.sec, header.stamp.nanosec)
    return header.frame_id, stamp, [person.id for person in persons]
