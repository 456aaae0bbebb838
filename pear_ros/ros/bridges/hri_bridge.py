# SPDX-License-Identifier: Apache-2.0
"""A node that publishes people for the tools of ROS 4 HRI, as REP-155 specifies.

Subscribes to `humans`. Publishes `/humans/bodies/tracked` and, for each body, below
`/humans/bodies/<id>/`: `roi`, `skeleton2d` and `joint_states`, from the image in which the body
appears to the one in which it is lost; and body_<id> to /tf, unless the main node does. More by
parameters, one for each group of topics.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import numpy as np
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.clock import Clock, ClockType  # type: ignore[attr-defined]
from rclpy.node import Node
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from pear_msgs.msg import Human, HumanArray
from pear_ros.body.joint_frames import root_frames
from pear_ros.hri.joint_angles import complete
from pear_ros.ros.bridges.hri_descriptions import Descriptions
from pear_ros.ros.bridges.hri_motion import Motions
from pear_ros.ros.bridges.hri_topics import TopicGroup
from pear_ros.ros.bridges.people_frame import NEWEST, PeopleFrame
from pear_ros.ros.bridges.target_frame import TargetFrame, declare_target_frame
from pear_ros.ros.conversion.transforms import TRANSFORMS_QOS, TransformMessages
from pear_ros.ros.running import StartError, run

try:
    from hri_msgs.msg import IdsList
except ImportError:
    IdsList = None
else:
    from pear_ros.ros.bridges.hri_bodies import Bodies
    from pear_ros.ros.bridges.hri_faces import Faces
    from pear_ros.ros.bridges.hri_persons import Persons
    from pear_ros.ros.bridges.hri_recognition import Recognitions

_SILENCE_SECONDS = 2.0
"""Time without a message after which no body is tracked any more."""

OPTIONS = {
    "motion": "Publish position and velocity of each body.",
    "description": (
        "Publish a URDF of each body, as the topic urdf and the parameter human_description_<id>, "
        "and the frames of its links on /tf."
    ),
    "recognition": "Publish gesture, posture, pointing and fallen of each body.",
    "faces": "Publish /humans/faces/: action units of faces that were read (open body only).",
    "persons": "Publish /humans/persons/ with engagement_status, and who looks at whom.",
}
"""Parameters, each false by default, and what each makes the bridge publish."""


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
        with_transforms = self._option(
            "transforms",
            "Publish body_<id> of each person on /tf. Set it to false if the parameter transforms "
            "of the main node is not off.",
            default=True,
        )
        self._tf = (
            self.create_publisher(TFMessage, "/tf", TRANSFORMS_QOS) if with_transforms else None
        )
        self._transforms = TransformMessages(["body"], np.array([-1]))
        self._tracked = self.create_publisher(IdsList, "/humans/bodies/tracked", NEWEST)
        makers: list[type[TopicGroup[Any]]]
        makers = [Motions, Descriptions, Recognitions, Faces, Persons]
        self._groups: list[TopicGroup[Any]] = [Bodies(self)]
        self._groups += [
            make(self)
            for make, (name, text) in zip(makers, OPTIONS.items(), strict=True)
            if self._option(name, text)
        ]
        self._target = TargetFrame(self, declare_target_frame(self))
        self._ids: set[str] = set()
        self._last_message = time.monotonic()
        self.create_subscription(HumanArray, "humans", self._publish_people, NEWEST)
        clock = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self.create_timer(_SILENCE_SECONDS / 2, self._check_silence, clock=clock)

    def _option(self, name: str, description: str, *, default: bool = False) -> bool:
        descriptor = ParameterDescriptor(description=description, read_only=True)
        self.declare_parameter(name, default, descriptor)
        chosen: bool = self.get_parameter(name).get_parameter_value().bool_value
        return chosen

    def _publish_people(self, message: HumanArray) -> None:
        """Publish all people of one image.

        Topics exist before their ids are published and until after, so that each id has its topics.
        """
        self._last_message = time.monotonic()
        humans = [human for human in message.humans if human.tracking_state != Human.LOST]
        ids = [human.id for human in humans]
        for group in self._groups:
            group.begin(ids)
        self._tracked.publish(IdsList(header=message.header, ids=ids))
        if humans:
            to_target = self._target.lookup(message.header)
            frame = PeopleFrame(message, humans, self._target.name, to_target)
            for group in self._groups:
                group.publish(frame)
            self._publish_roots(frame)
        self._end(ids)

    def _publish_roots(self, frame: PeopleFrame) -> None:
        """Publish body_<id> of everybody whose body is known."""
        if self._tf is None or not self._tf.get_subscription_count():
            return
        known = np.flatnonzero(complete(frame.poses, frame.joints))
        if len(known):
            stamp = (frame.header.stamp.sec, frame.header.stamp.nanosec)
            frames = root_frames(frame.poses[known], frame.joints[known])
            ids = [frame.ids[index] for index in known]
            message = self._transforms.serialize(frame.header.frame_id, stamp, ids, frames)
            self._tf.publish(message)

    def _end(self, ids: list[str]) -> None:
        """Remove the topics of tracks that are not among `ids`."""
        for group in self._groups:
            group.end(ids)
        self._ids = set(ids)

    def _check_silence(self) -> None:
        if self._ids and time.monotonic() - self._last_message > _SILENCE_SECONDS:
            self.get_logger().info(
                f"No message on humans for {_SILENCE_SECONDS:g} s, no one is tracked"
            )
            header = Header(stamp=self.get_clock().now().to_msg())
            self._tracked.publish(IdsList(header=header, ids=[]))
            self._end([])


def main(arguments: list[str] | None = None) -> int:
    """Run the bridge until Ctrl-C; return the exit status."""
    return run(HriBridge, arguments)


if __name__ == "__main__":
    sys.exit(main())
