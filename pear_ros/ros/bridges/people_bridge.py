# SPDX-License-Identifier: Apache-2.0
"""A node that publishes people for navigation, fusion and displays that know no body models.

Subscribes to `humans`. Publishes `/people` (people_msgs/People), which social costmaps take,
`people_poses` (geometry_msgs/PoseArray) and `people_detections` (vision_msgs/Detection3DArray),
each only while it has subscribers, in the frame of the parameter `target_frame`.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NamedTuple

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseArray, Quaternion, Vector3
from rclpy.node import Node
from scipy.spatial.transform import Rotation
from std_msgs.msg import Header

from pear_msgs.msg import Human, HumanArray
from pear_ros.body.joint_frames import Float64, root_frames
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.hri.joint_angles import complete
from pear_ros.hri.velocity import Velocity
from pear_ros.ros.bridges.people_frame import NEWEST, PeopleFrame
from pear_ros.ros.bridges.target_frame import TargetFrame, declare_target_frame
from pear_ros.ros.running import run

try:
    from people_msgs.msg import People, Person
except ImportError:
    People = None
try:
    from vision_msgs.msg import (
        BoundingBox3D,
        Detection3D,
        Detection3DArray,
        ObjectHypothesisWithPose,
    )
except ImportError:
    Detection3DArray = None

_MARGIN = 0.1
"""Distance of the skin from the joints along each axis, metres: half the depth of a trunk."""
_IDENTITY = RigidTransform.identity()


class _Known(NamedTuple):
    """The people of an image whose bodies are known, in the frame of the results."""

    header: Header
    humans: list[Human]
    joints: Float64
    """(N, 55, 3) metres."""
    poses: Float64
    """(N, 7) middle of the hips, metres, and quaternion x y z w of body_<id> (REP-155)."""


class PeopleBridge(Node):
    """Publish the people of `humans` as messages of other packages."""

    def __init__(self, **node_options: Any) -> None:
        """Create the node with `node_options` of rclpy's Node."""
        super().__init__("people_bridge", **node_options)
        self._target = TargetFrame(self, declare_target_frame(self))
        self._velocities: dict[str, Velocity] = {}
        self._publishers_of = {
            self.create_publisher(kind, topic, NEWEST): make
            for kind, topic, make in (
                (People, "/people", self._people),
                (PoseArray, "people_poses", _pose_array),
                (Detection3DArray, "people_detections", _detections),
            )
            if self._has(kind, topic)
        }
        self.create_subscription(HumanArray, "humans", self._publish, NEWEST)

    def _has(self, kind: type | None, topic: str) -> bool:
        """Return whether the package of a message type is installed; say if it is not."""
        if kind is None:
            package = "people-msgs" if topic == "/people" else "vision-msgs"
            distribution = os.environ.get("ROS_DISTRO", "<distro>")
            self.get_logger().warning(
                f"{topic} is not published: sudo apt install ros-{distribution}-{package}"
            )
        return kind is not None

    def _publish(self, message: HumanArray) -> None:
        """Publish what has subscribers; nothing if the target frame is not known for this image."""
        wanted = [pub for pub in self._publishers_of if pub.get_subscription_count()]
        if not wanted:
            self._velocities.clear()
            return
        to_target = self._target.lookup(message.header)
        if self._target.name and to_target is None:
            return
        people = _known(message, self._target.name, to_target or _IDENTITY)
        for publisher in wanted:
            publisher.publish(self._publishers_of[publisher](people))

    def _people(self, people: _Known) -> Any:
        """Return people_msgs/People.

        A velocity that is not known yet is zero, as people_msgs' own trackers have it: costmaps
        calculate with it.
        """
        ids = [human.id for human in people.humans]
        self._velocities = {name: self._velocities.get(name) or Velocity() for name in ids}
        stamp = people.header.stamp
        seconds = stamp.sec + 1e-9 * stamp.nanosec
        result = People(header=people.header)
        for human, pose in zip(people.humans, people.poses, strict=True):
            velocity = np.nan_to_num(self._velocities[human.id].update(seconds, pose[:3]))
            result.people.append(
                Person(
                    name=human.id,
                    position=_point(pose[:3]),
                    velocity=_point(velocity),
                    reliability=float(human.score),
                )
            )
        return result


def _known(message: HumanArray, target_frame: str, to_target: RigidTransform) -> _Known:
    """Return the people of a message whose body is known, in the target frame."""
    humans = [human for human in message.humans if human.tracking_state != Human.LOST]
    header = Header(stamp=message.header.stamp, frame_id=target_frame or message.header.frame_id)
    if not humans:
        return _Known(header, [], np.empty((0, 55, 3)), np.empty((0, 7)))
    frame = PeopleFrame(message, humans)
    known = np.flatnonzero(complete(frame.poses, frame.joints))
    roots = root_frames(frame.poses[known], frame.joints[known])[:, 0]
    turns = Rotation.from_matrix(to_target.rotation) * Rotation.from_quat(
        roots[:, 3:].reshape(-1, 4)
    )
    return _Known(
        header,
        [humans[index] for index in known],
        np.asarray(to_target.apply(frame.joints[known].astype(np.float64)), np.float64),
        np.concatenate([to_target.apply(roots[:, :3]), turns.as_quat().reshape(-1, 4)], axis=1),
    )


def _pose_array(people: _Known) -> PoseArray:
    return PoseArray(header=people.header, poses=[_pose(row) for row in people.poses])


def _detections(people: _Known) -> Any:
    """Return vision_msgs/Detection3DArray: boxes along the axes of the frame."""
    result = Detection3DArray(header=people.header)
    for human, joints, pose in zip(people.humans, people.joints, people.poses, strict=True):
        low, high = joints.min(axis=0) - _MARGIN, joints.max(axis=0) + _MARGIN
        x, y, z = (high - low).tolist()
        box = BoundingBox3D(
            center=Pose(position=_point((low + high) / 2)), size=Vector3(x=x, y=y, z=z)
        )
        person = ObjectHypothesisWithPose()
        person.hypothesis.class_id = "person"
        person.hypothesis.score = float(human.score)
        person.pose.pose = _pose(pose)
        result.detections.append(
            Detection3D(header=people.header, results=[person], bbox=box, id=human.id)
        )
    return result


def _point(place: Float64) -> Point:
    x, y, z = place.tolist()
    return Point(x=x, y=y, z=z)


def _pose(row: Float64) -> Pose:
    x, y, z, w = row[3:].tolist()
    return Pose(position=_point(row[:3]), orientation=Quaternion(x=x, y=y, z=z, w=w))


def main(arguments: list[str] | None = None) -> int:
    """Run the bridge until Ctrl-C; return the exit status."""
    return run(PeopleBridge, arguments)


if __name__ == "__main__":
    sys.exit(main())
