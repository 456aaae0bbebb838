# SPDX-License-Identifier: Apache-2.0
"""A node that tells the tools of ROS 4 HRI about people, as REP-155 wants it.

Subscribes to `humans`. Publishes `/humans/bodies/tracked` and, for each body, below
`/humans/bodies/<id>/`: `roi`, `skeleton2d` and `joint_states`, from the image in which the body
appears to the one in which it is lost; and body_<id> to /tf, where the main node does not.
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
from pear_ros.hri.joint_angles import ANGLES, joint_angles, whole
from pear_ros.hri.skeleton import Picture, skeletons
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

# Reliable, which suits every subscriber; the newest only.
_NEWEST = QoSProfile(depth=1)

_SILENCE_SECONDS = 2.0
"""After this time without news of anybody, everybody is gone."""


class HriBridge(Node):
    """Publishes the people of `humans` as bodies of REP-155."""

    def __init__(self, **node_options: Any) -> None:
        """`node_options` go to rclpy's Node. Raises StartError when hri_msgs is missing."""
        if IdsList is None:
            distribution = os.environ.get("ROS_DISTRO", "<distro>")
            raise StartError(
                f"the messages of REP-155 are missing: sudo apt install ros-{distribution}-hri-msgs"
            )
        super().__init__("hri_bridge", **node_options)
        description = (
            "Whether body_<id> of each person goes to /tf; to be switched off where the parameter "
            "transforms of the main node is on."
        )
        descriptor = ParameterDescriptor(description=description, read_only=True)
        self.declare_parameter("transforms", True, descriptor)
        wanted = self.get_parameter("transforms").get_parameter_value().bool_value
        self._tf = self.create_publisher(TFMessage, "/tf", TRANSFORMS_QOS) if wanted else None
        self._transforms = TransformMessages(["body"], np.array([-1]))
        self._tracked = self.create_publisher(IdsList, "/humans/bodies/tracked", _NEWEST)
        self._bodies: dict[str, _Body] = {}
        self._newest = time.monotonic()
        self.create_subscription(HumanArray, "humans", self._take, _NEWEST)
        clock = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self.create_timer(_SILENCE_SECONDS / 2, self._check_silence, clock=clock)

    def _take(self, message: HumanArray) -> None:
        """Passes on everybody in one image."""
        self._newest = time.monotonic()
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

        known = whole(poses, joints)
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
        """Says who is there, with topics for those who have come and without those who have gone.

        Topics come before their ids are told and go after, so that nobody waits for them in vain.
        """
        for track_id in ids:
            if track_id not in self._bodies:
                self._bodies[track_id] = _Body(self, track_id)
        self._tracked.publish(IdsList(header=header, ids=ids))
        for track_id in self._bodies.keys() - set(ids):
            self._bodies.pop(track_id).destroy(self)

    def _check_silence(self) -> None:
        if self._bodies and time.monotonic() - self._newest > _SILENCE_SECONDS:
            self.get_logger().info(f"No news of anybody for {_SILENCE_SECONDS:g} s")
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
    """(22, 3) of the body, without face and fingers."""
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
    picture = Picture(image.image_width, image.image_height, image.fx, image.fy)
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
    """Bridges until Ctrl-C. Returns the exit status."""
    return run(HriBridge, arguments)


if __name__ == "__main__":
    sys.exit(main())
