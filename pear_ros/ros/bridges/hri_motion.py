# SPDX-License-Identifier: Apache-2.0
"""Position and velocity of each body, as hri_body_detect publishes them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from geometry_msgs.msg import Point, PointStamped, Twist, TwistStamped, Vector3
from std_msgs.msg import Header

from pear_ros.hri.velocity import Velocity
from pear_ros.ros.bridges.hri_topics import TopicGroup, TrackTopics
from pear_ros.ros.bridges.people_frame import PeopleFrame


@dataclass
class _Motion(TrackTopics):
    velocity: Velocity = field(default_factory=Velocity)


class Motions(TopicGroup[_Motion]):
    """The topics position and velocity, in the target frame or, without one, the camera's."""

    def _make(self, track_id: str) -> _Motion:
        kinds = {"position": PointStamped, "velocity": TwistStamped}
        return _Motion(self._publishers(f"/humans/bodies/{track_id}", kinds))

    def publish(self, frame: PeopleFrame) -> None:
        """Publish what has subscribers; nothing if the target frame is not known for this image.

        A velocity that is not known yet is not published: it is not zero.
        """
        bodies = [self._tracks[track_id] for track_id in frame.ids]
        if frame.target_frame and frame.to_target is None:
            return
        if not any(body.wanted("position", "velocity") for body in bodies):
            return
        places = frame.hips if frame.to_target is None else frame.to_target.apply(frame.hips)
        frame_id = frame.target_frame or frame.header.frame_id
        header = Header(stamp=frame.header.stamp, frame_id=frame_id)
        for body, place in zip(bodies, places, strict=True):
            if body.wanted("position") and np.isfinite(place).all():
                x, y, z = place.tolist()
                body.publishers["position"].publish(
                    PointStamped(header=header, point=Point(x=x, y=y, z=z))
                )
            if body.wanted("velocity"):
                speed = body.velocity.update(frame.seconds, place)
                if np.isfinite(speed).all():
                    x, y, z = speed.tolist()
                    twist = Twist(linear=Vector3(x=x, y=y, z=z))
                    body.publishers["velocity"].publish(TwistStamped(header=header, twist=twist))
