# SPDX-License-Identifier: Apache-2.0
"""A node that publishes people for the tools of ROS 4 HRI, as REP-155 specifies.

Subscribes to `humans`. Publishes `/humans/bodies/tracked` and, for each body, below
`/humans/bodies/<id>/`: `roi`, `skeleton2d` and `joint_states`, from the image in which the body
appears to the one in which it is lost; and body_<id> to /tf, unless the main node does.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from pear_msgs.msg import Human, HumanArray
from pear_ros.body.joint_frames import Float64, root_frames
from pear_ros.core.people import NUM_JOINTS, Array
from pear_ros.hri.joint_angles import ANGLES, complete, joint_angles
from pear_ros.hri.skeleton import ImageGeometry, skeletons
from pear_ros.ros.conversion.transforms import TRANSFORMS_QOS, TransformMessages
from pear_ros.ros.running import StartError, run

try:
    from hri_msgs.msg import (
        IdsList,
        NormalizedPointOfInterest2D,
        NormalizedRegionOfInterest2D,
        Skeleton2D,
    )
except ImportError:
    IdsList = None

# Reliable, which every subscriber can receive; only the newest message is kept.
_NEWEST = QoSProfile(depth=1)

_SILENCE_SECONDS = 2.0
"""Time without a message after which no body is tracked any more."""


class HriBridge(Node):
    """Publish the people of `humans` as bodies of REP-155."""

    def __init__(self, **node_options: Any) -> None:
        """Create the node with `node_options` of rclpy's Node.

        Raises StartError if hri_msgs is missing.
        """
        if IdsList is None:
            distribution = os.environ.get("ROS_DISTRO", "<distro>")
            raise StartError(
                f"the messages of REP-155 are missing: sudo apt install ros-{distribution}-hri-msgs"
            )
        super().__init__("hri_bridge", **node_options)
        description = (
            "Publish body_<id> of each person on /tf. Set it to false if the parameter transforms "
            "of the main node is not off."
        )
        descriptor = ParameterDescriptor(description=description, read_only=True)
        self.declare_parameter("transforms", True, descriptor)
        with_transforms = self.get_parameter("transforms").get_parameter_value().bool_value
        self._tf = (
            self.create_publisher(TFMessage, "/tf", TRANSFORMS_QOS) if with_transforms else None
        )
        self._transforms = TransformMessages(["body"], np.array([-1]))
        self._tracked = self.create_publisher(IdsList, "/humans/bodies/tracked", _NEWEST)
        self._bodies: dict[str, _Body] = {}
        self._last_message = time.monotonic()
        self.create_subscription(HumanArray, "humans", self._publish_people, _NEWEST)
        clock = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self.create_timer(_SILENCE_SECONDS / 2, self._check_silence, clock=clock)

    def _publish_people(self, message: HumanArray) -> None:
        """Publish all people of one image."""
        self._last_message = time.monotonic()
        header = message.header
        humans = [human for human in message.humans if human.tracking_state != Human.LOST]
        self._track(header, [human.id for human in humans])
        if not humans:
            return
        poses = np.stack([_pose(human) for human in humans])
        joints = _rows(humans, "joints", NUM_JOINTS, 3)
        bodies = [self._bodies[human.id] for human in humans]
        for body, human in zip(bodies, humans, strict=True):
            if body.roi.get_subscription_count():
                body.roi.publish(_region(human, message))
        if any(body.skeleton.get_subscription_count() for body in bodies):
            points = _skeletons(message, humans, poses, joints)
            for body, skeleton in zip(bodies, points, strict=True):
                body.skeleton.publish(_skeleton(header, skeleton))

        known = complete(poses, joints)
        poses, joints = poses[known], joints[known]
        bodies = [body for body, is_known in zip(bodies, known, strict=True) if is_known]
        if self._tf is not None and bodies and self._tf.get_subscription_count():
            ids = [body.track_id for body in bodies]
            stamp = (header.stamp.sec, header.stamp.nanosec)
            frames = root_frames(poses, joints)
            self._tf.publish(self._transforms.serialize(header.frame_id, stamp, ids, frames))
        if any(body.joint_states.get_subscription_count() for body in bodies):
            for body, angles in zip(bodies, joint_angles(poses, joints), strict=True):
                body.joint_states.publish(_joint_state(header, body.track_id, angles))

    def _track(self, header: Header, ids: Sequence[str]) -> None:
        """Publish the `ids` that are tracked; create topics of new ids, remove those of lost ones.

        Topics exist before their ids are published and until after, so that each id has its topics.
        """
        for track_id in ids:
            if track_id not in self._bodies:
                self._bodies[track_id] = _Body(self, track_id)
        self._tracked.publish(IdsList(header=header, ids=ids))
        for track_id in self._bodies.keys() - set(ids):
            self._bodies.pop(track_id).destroy(self)

    def _check_silence(self) -> None:
        if self._bodies and time.monotonic() - self._last_message > _SILENCE_SECONDS:
            self.get_logger().info(
                f"No message on humans for {_SILENCE_SECONDS:g} s, no one is tracked"
            )
            self._track(Header(stamp=self.get_clock().now().to_msg()), [])


class _Body:
    """The topics of one body."""

    def __init__(self, node: Node, track_id: str) -> None:
        self.track_id = track_id
        space = f"/humans/bodies/{track_id}"
        self.roi = node.create_publisher(NormalizedRegionOfInterest2D, f"{space}/roi", _NEWEST)
        self.skeleton = node.create_publisher(Skeleton2D, f"{space}/skeleton2d", _NEWEST)
        self.joint_states = node.create_publisher(JointState, f"{space}/joint_states", _NEWEST)

    def destroy(self, node: Node) -> None:
        for publisher in (self.roi, self.skeleton, self.joint_states):
            node.destroy_publisher(publisher)


def _pose(human: Human) -> Array:
    """(22, 3) axis-angle pose of the body, without face and fingers."""
    smplx = human.smplx
    pose: Array = np.concatenate([smplx.global_orient, smplx.body_pose]).reshape(-1, 3)
    return pose


def _rows(humans: Sequence[Human], name: str, *shape: int) -> Array:
    """A fixed-size array of each message as (N, *shape)."""
    rows = [getattr(human, name) for human in humans]
    stacked: Array = np.stack(rows).reshape(len(humans), *shape)
    return stacked


def _region(human: Human, image: HumanArray) -> NormalizedRegionOfInterest2D:
    roi, width, height = human.roi, image.image_width, image.image_height
    return NormalizedRegionOfInterest2D(
        header=image.header,
        xmin=roi.x_offset / width,
        ymin=roi.y_offset / height,
        xmax=(roi.x_offset + roi.width) / width,
        ymax=(roi.y_offset + roi.height) / height,
        c=human.score,
    )


def _skeletons(image: HumanArray, humans: Sequence[Human], poses: Array, joints: Array) -> Array:
    picture = ImageGeometry(image.image_width, image.image_height, image.fx, image.fy)
    keypoints = _rows(humans, "keypoints", NUM_JOINTS, 2)
    confidence = _rows(humans, "joint_confidence", NUM_JOINTS)
    scores = np.array([human.score for human in humans], np.float32)
    confidence = np.where(np.isnan(confidence), scores[:, None], confidence)
    return skeletons(picture, poses, joints, keypoints, confidence)


def _skeleton(header: Header, points: Array) -> Skeleton2D:
    return Skeleton2D(
        header=header,
        skeleton=[NormalizedPointOfInterest2D(x=x, y=y, c=c) for x, y, c in points.tolist()],
    )


def _joint_state(header: Header, track_id: str, angles: Float64) -> JointState:
    names = [f"{name}_{track_id}" for name in ANGLES]
    return JointState(header=header, name=names, position=angles.tolist())


def main(arguments: list[str] | None = None) -> int:
    """Run the bridge until Ctrl-C; return the exit status."""
    return run(HriBridge, arguments)


if __name__ == "__main__":
    sys.exit(main())
