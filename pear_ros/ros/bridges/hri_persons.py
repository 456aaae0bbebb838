# SPDX-License-Identifier: Apache-2.0
"""Persons, their engagement, and who looks at whom: /humans/persons/ and /humans/interactions/.

A person has the id of their body. The robot is where the camera is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from hri_msgs.msg import EngagementLevel, Gaze, IdsList
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool, String

from pear_msgs.msg import Human
from pear_ros.hri.body_parts import Float64
from pear_ros.hri.engagement import Engagement, Level, attends
from pear_ros.hri.gaze import angles_to, facings, gazed_at, gazes
from pear_ros.ros.bridges.hri_topics import TopicGroup, TrackTopics
from pear_ros.ros.bridges.people_frame import NEWEST, PeopleFrame

_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_ROBOT = np.zeros((1, 3))
"""Place of the robot in the optical frame."""
LEVELS = {level: getattr(EngagementLevel, level.name) for level in Level}
"""Constant of hri_msgs/EngagementLevel for each level."""


@dataclass
class _Person(TrackTopics):
    engagement: Engagement = field(default_factory=Engagement)


class Persons(TopicGroup[_Person]):
    """The topics tracked, gazing, and of each person body_id, anonymous and engagement_status."""

    def __init__(self, node: Node) -> None:
        """Publish by `node`."""
        super().__init__(node)
        self._tracked = node.create_publisher(IdsList, "/humans/persons/tracked", NEWEST)
        gazing = "/humans/interactions/gazing"
        self._gazing = node.create_publisher(Gaze, gazing, QoSProfile(depth=10))

    def _make(self, track_id: str) -> _Person:
        space = f"/humans/persons/{track_id}"
        latched = self._publishers(space, {"body_id": String, "anonymous": Bool}, _LATCHED)
        latched["body_id"].publish(String(data=track_id))
        latched["anonymous"].publish(Bool(data=True))
        return _Person(
            {**latched, **self._publishers(space, {"engagement_status": EngagementLevel})}
        )

    def publish(self, frame: PeopleFrame) -> None:
        """Publish the persons, and what has subscribers."""
        self._tracked.publish(IdsList(header=frame.header, ids=frame.ids))
        persons = [self._tracks[track_id] for track_id in frame.ids]
        looked_for = bool(self._gazing.get_subscription_count())
        engaged_for = any(person.wanted("engagement_status") for person in persons)
        if not (looked_for or engaged_for):
            return
        origins, directions = gazes(frame.poses, frame.joints)
        directions[[one.tracking_state == Human.PREDICTED for one in frame.humans]] = np.nan
        if looked_for:
            self._publish_gazes(frame, origins, directions)
        if engaged_for:
            _publish_engagement(frame, persons, origins, directions)

    def end(self, ids: Collection[str]) -> None:
        """Remove the topics of lost people; if nobody is left, no person is tracked."""
        if self._tracks and not ids:
            message = IdsList()
            message.header.stamp = self._node.get_clock().now().to_msg()
            self._tracked.publish(message)
        super().end(ids)

    def _publish_gazes(self, frame: PeopleFrame, origins: Float64, directions: Float64) -> None:
        """Publish a message for each person who looks at the robot or at another person."""
        angles = angles_to(origins, directions, np.concatenate([_ROBOT, origins]))
        receivers = ["", *frame.ids]  # an empty id is the robot's
        for sender, target in zip(frame.ids, gazed_at(angles), strict=True):
            if target >= 0:
                message = Gaze(header=frame.header, sender=sender, receiver=receivers[target])
                self._gazing.publish(message)


def _publish_engagement(
    frame: PeopleFrame, persons: list[_Person], origins: Float64, directions: Float64
) -> None:
    heads = angles_to(origins, directions, _ROBOT)[:, 0]
    bodies = angles_to(origins, facings(frame.poses), _ROBOT)[:, 0]
    metres = np.linalg.norm(origins, axis=1)
    for index, person in enumerate(persons):
        if person.wanted("engagement_status"):
            attention = attends(float(heads[index]), float(bodies[index]), float(metres[index]))
            level = person.engagement.update(frame.seconds, attention)
            message = EngagementLevel(header=frame.header, level=LEVELS[level])
            person.publishers["engagement_status"].publish(message)
