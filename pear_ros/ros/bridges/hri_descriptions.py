# SPDX-License-Identifier: Apache-2.0
"""A URDF model of each body and the transforms of its links, so that tools draw people."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header, String
from tf2_msgs.msg import TFMessage

from pear_ros.body.joint_frames import Float64
from pear_ros.hri.description import Link, body_lengths, link_transforms, links, urdf
from pear_ros.hri.joint_angles import complete, joint_angles
from pear_ros.ros.bridges.hri_topics import TopicGroup, TrackTopics
from pear_ros.ros.bridges.people_frame import PeopleFrame
from pear_ros.ros.conversion.transforms import TRANSFORMS_QOS

_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@dataclass
class _Description(TrackTopics):
    chain: list[Link] = field(default_factory=list)
    """Links of the model; empty until the person was seen with all joints."""


class Descriptions(TopicGroup[_Description]):
    """The topic urdf and the parameter human_description_<id>, from the first complete image on.

    And the frames of all links but body_<id> on /tf, so that no robot_state_publisher is needed.
    """

    def __init__(self, node: Node) -> None:
        """Publish by `node`."""
        super().__init__(node)
        self._tf = node.create_publisher(TFMessage, "/tf", TRANSFORMS_QOS)

    def _make(self, track_id: str) -> _Description:
        space = f"/humans/bodies/{track_id}"
        return _Description(self._publishers(space, {"urdf": String}, _LATCHED))

    def _remove(self, track_id: str, track: _Description) -> None:
        super()._remove(track_id, track)
        if track.chain:
            self._node.undeclare_parameter(_parameter(track_id))

    def publish(self, frame: PeopleFrame) -> None:
        """Describe new people once, and publish the links of all who are known."""
        known = np.flatnonzero(complete(frame.poses, frame.joints))
        for index in known:
            if not self._tracks[frame.ids[index]].chain:
                self._describe(frame, int(index))
        if not len(known) or not self._tf.get_subscription_count():
            return
        transforms: list[TransformStamped] = []
        angles = joint_angles(frame.poses[known], frame.joints[known])
        for index, row in zip(known, angles, strict=True):
            track_id = frame.ids[index]
            chain = self._tracks[track_id].chain
            places = link_transforms(chain, row)
            for link, place in zip(chain, places, strict=True):
                transforms.append(_transform(frame.header, link, track_id, place))
        self._tf.publish(TFMessage(transforms=transforms))

    def _describe(self, frame: PeopleFrame, index: int) -> None:
        """Publish the model of a person; its lengths stay those of this image."""
        track_id = frame.ids[index]
        track = self._tracks[track_id]
        lengths = body_lengths(frame.joints[index])
        text = urdf(track_id, lengths)
        track.chain = links(lengths)
        self._node.declare_parameter(_parameter(track_id), text)  # read-only ones stay forever
        track.publishers["urdf"].publish(String(data=text))


def _parameter(track_id: str) -> str:
    return f"human_description_{track_id}"


def _transform(header: Header, link: Link, track_id: str, place: Float64) -> TransformStamped:
    x, y, z, qx, qy, qz, qw = place.tolist()
    return TransformStamped(
        header=Header(stamp=header.stamp, frame_id=f"{link.parent}_{track_id}"),
        child_frame_id=f"{link.name}_{track_id}",
        transform=Transform(
            translation=Vector3(x=x, y=y, z=z), rotation=Quaternion(x=qx, y=qy, z=qz, w=qw)
        ),
    )
