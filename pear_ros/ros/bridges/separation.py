# SPDX-License-Identifier: Apache-2.0
"""A node that publishes how near people are to frames of a robot. This is no safety function.

Subscribes to `humans` and /tf. Publishes `separation` (pear_msgs/SeparationArray), the people's
capsules and lines to their nearest points as visualization_msgs/MarkerArray on `capsule_markers`
and `separation_markers`, and moveit_msgs/CollisionObject on `/collision_object`, each only while it
has subscribers, in the frame of the parameter `target_frame`.
"""

from __future__ import annotations

import math
import os
import sys
import time
from typing import Any

import numpy as np
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from pear_msgs.msg import Human, HumanArray, SeparationArray
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.core.timestamps import nanoseconds_of
from pear_ros.hri.body_parts import Float64
from pear_ros.hri.capsule_mesh import FACES, VERTEX_COUNT, capsule_meshes
from pear_ros.hri.capsules import Capsules, body_capsules, standing_capsules
from pear_ros.hri.separation import ClosingSpeeds, Separations, separations
from pear_ros.ros.bridges.people_frame import NEWEST, PeopleFrame
from pear_ros.ros.bridges.target_frame import TargetFrame, declare_target_frame
from pear_ros.ros.conversion.collision_objects import CollisionObject, collision_objects, removal
from pear_ros.ros.conversion.markers import MeshMarkers
from pear_ros.ros.conversion.separations import RobotFrame, distance_lines, separation_messages
from pear_ros.ros.running import StartError, run

_SILENCE_SECONDS = 2.0
"""Time without a message after which nobody is there any more."""
_OBJECTS_QOS = QoSProfile(depth=100)
"""Reliable; one message for each person, none of which may replace another."""
_UNKNOWN = RigidTransform(np.full((3, 3), np.nan), np.full(3, np.nan))


class SeparationNode(Node):
    """Publish the distances between the people of `humans` and frames of a robot."""

    def __init__(self, **node_options: Any) -> None:
        """Create the node with `node_options` of rclpy's Node.

        Raises StartError if a parameter is missing or wrong.
        """
        super().__init__("separation", **node_options)
        self._target = TargetFrame(self, declare_target_frame(self, required=True))
        self._frames = self._declare_robot_frames()
        self._radii = np.array([frame.radius for frame in self._frames])
        self._separation = self.create_publisher(SeparationArray, "separation", NEWEST)
        self._lines = self.create_publisher(MarkerArray, "separation_markers", NEWEST)
        self._meshes = self.create_publisher(MarkerArray, "capsule_markers", NEWEST)
        self._objects = self._create_objects()
        self._markers = MeshMarkers(FACES, VERTEX_COUNT)
        self._speeds = ClosingSpeeds()
        self._shown: set[str] = set()
        """Ids of the people whose capsules are in displays."""
        self._planned: set[str] = set()
        """Ids of the people in planning scenes."""
        self._last_message = time.monotonic()
        self.create_subscription(HumanArray, "humans", self._publish, NEWEST)
        clock = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self.create_timer(_SILENCE_SECONDS / 2, self._check_silence, clock=clock)

    def _declare_robot_frames(self) -> list[RobotFrame]:
        descriptor = ParameterDescriptor(
            description=(
                "Frames of the robot on /tf, each with the radius of a sphere around it in metres: "
                "FRAME:RADIUS, such as tool0:0.15."
            ),
            read_only=True,
        )
        self.declare_parameter("robot_frames", [""], descriptor)
        entries = self.get_parameter("robot_frames").get_parameter_value().string_array_value
        return [robot_frame(entry) for entry in entries]

    def _create_objects(self) -> Any:
        if CollisionObject is None:
            distribution = os.environ.get("ROS_DISTRO", "<distro>")
            self.get_logger().info(
                "/collision_object is not published; if you use MoveIt: "
                f"sudo apt install ros-{distribution}-moveit-msgs"
            )
            return None
        return self.create_publisher(CollisionObject, "/collision_object", _OBJECTS_QOS)

    def _publish(self, message: HumanArray) -> None:
        """Publish what has subscribers."""
        self._last_message = time.monotonic()
        near = self._watched(self._separation) or self._watched(self._lines)
        shown, planned = self._watched(self._meshes), self._watched(self._objects)
        if not near:
            self._speeds = ClosingSpeeds()
        if not planned:
            self._planned.clear()
        if not (near or shown or planned):
            return
        humans = [human for human in message.humans if human.tracking_state != Human.LOST]
        header = Header(stamp=message.header.stamp, frame_id=self._target.name)
        to_target = self._target.lookup(message.header) or _UNKNOWN
        frame = PeopleFrame(message, humans, self._target.name, to_target)
        capsules = _capsules(frame, to_target)
        if near:
            self._publish_distances(frame, header, capsules, to_target)
        if shown:
            self._publish_meshes(header, frame, capsules)
        if planned:
            self._publish_objects(header, frame.ids, capsules)

    @staticmethod
    def _watched(publisher: Any) -> bool:
        return publisher is not None and publisher.get_subscription_count() > 0

    def _publish_distances(
        self, frame: PeopleFrame, header: Header, capsules: Capsules, to_target: RigidTransform
    ) -> None:
        depth_errors = np.array([human.depth_error for human in frame.humans], np.float64)
        found = separations(
            capsules, self._robot_places(header), self._radii, to_target.translation, depth_errors
        )
        # A body that is read at last is another shape: the distance jumps, and nobody moved.
        keys = [(human.id, _unread(human)) for human in frame.humans]
        speeds = self._speeds.update(frame.seconds, keys, found.distances)
        if self._watched(self._separation):
            self._separation.publish(self._array(frame, header, found, speeds))
        if self._watched(self._lines):
            self._lines.publish(distance_lines(header, found))

    def _robot_places(self, header: Header) -> Float64:
        """Return the origins (R, 3) of the robot's frames at an image's stamp; NaN: not known."""
        places = np.full((len(self._frames), 3), np.nan)
        for place, frame in zip(places, self._frames, strict=True):
            found = self._target.lookup(Header(stamp=header.stamp, frame_id=frame.name))
            if found is not None:
                place[:] = found.translation
        return places

    def _array(
        self, frame: PeopleFrame, header: Header, found: Separations, speeds: Float64
    ) -> SeparationArray:
        latency = 1e-9 * (self.get_clock().now().nanoseconds - nanoseconds_of(header))
        return SeparationArray(
            header=header,
            latency=latency,
            model_id=frame.message.model_id,
            body_model=frame.message.body_model,
            separations=separation_messages(frame.ids, self._frames, found, speeds),
        )

    def _publish_meshes(self, header: Header, frame: PeopleFrame, capsules: Capsules) -> None:
        visible = np.flatnonzero(capsules.known.any(axis=1))
        ids = [frame.ids[index] for index in visible]
        meshes = capsule_meshes(capsules)[visible].astype(np.float32)
        faint = {human.id for human in frame.humans if _unread(human)}
        stamp = (header.stamp.sec, header.stamp.nanosec)
        lost = sorted(self._shown.difference(ids))
        self._meshes.publish(
            self._markers.serialize(header.frame_id, stamp, ids, meshes, lost, faint)
        )
        self._shown = set(ids)

    def _publish_objects(self, header: Header, ids: list[str], capsules: Capsules) -> None:
        """Publish the people who are there, and remove those who have left."""
        for track_id in sorted(self._planned.difference(ids)):
            self._objects.publish(removal(header, track_id))
        self._planned.intersection_update(ids)
        for one in collision_objects(header, ids, capsules):
            self._objects.publish(one)
            self._planned.add(one.id)

    def _check_silence(self) -> None:
        if self._planned and time.monotonic() - self._last_message > _SILENCE_SECONDS:
            self.get_logger().warning(
                f"No message on humans for {_SILENCE_SECONDS:g} s: people are removed from "
                "planning scenes, though they may still be there"
            )
            header = Header(stamp=self.get_clock().now().to_msg(), frame_id=self._target.name)
            for track_id in sorted(self._planned):
                self._objects.publish(removal(header, track_id))
            self._planned.clear()


def _unread(human: Human) -> bool:
    return bool(human.tracking_state == Human.DETECTED)


def _capsules(frame: PeopleFrame, to_target: RigidTransform) -> Capsules:
    """Return the capsules of the people of an image in the target frame."""
    if not frame.humans:
        return standing_capsules(np.empty((0, 55, 3), np.float32))
    joints = to_target.apply(frame.joints.astype(np.float64))
    scale = np.array([human.scale for human in frame.humans])
    read = body_capsules(joints, frame.confidence, scale)
    standing = standing_capsules(joints)
    unread = np.array([_unread(human) for human in frame.humans])
    pairs = zip(read, standing, strict=True)
    return Capsules(*(np.where(unread.reshape(-1, *[1] * (a.ndim - 1)), b, a) for a, b in pairs))


def robot_frame(text: str) -> RobotFrame:
    """Return the frame of an entry FRAME:RADIUS of robot_frames; raise StartError otherwise."""
    name, _, radius = text.rpartition(":")
    try:
        metres = float(radius)
    except ValueError:
        metres = math.nan
    if not name or not 0.0 <= metres < math.inf:
        raise StartError(
            f"the parameter robot_frames has the entry {text!r}, not FRAME:RADIUS with the radius "
            "in metres, such as tool0:0.15"
        )
    return RobotFrame(name, metres)


def main(arguments: list[str] | None = None) -> int:
    """Run the node until Ctrl-C; return the exit status."""
    return run(SeparationNode, arguments)


if __name__ == "__main__":
    sys.exit(main())
