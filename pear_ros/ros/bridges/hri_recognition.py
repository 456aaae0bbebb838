# SPDX-License-Identifier: Apache-2.0
"""Gesture, posture, pointing ray and falls of each body.

REP-155 names gesture and posture; it has none for pointing and falls, which are topics beside them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion
from hri_msgs.msg import BodyPosture
from hri_msgs.msg import Gesture as GestureMessage
from std_msgs.msg import Bool

from pear_ros.core import quaternions
from pear_ros.hri.gestures import Gesture, Ray, gesture, pointing
from pear_ros.hri.posture import Fall, Posture, pelvis_height, posture
from pear_ros.hri.waving import Waving
from pear_ros.ros.bridges.hri_topics import TopicGroup, TrackTopics
from pear_ros.ros.bridges.people_frame import PeopleFrame

POSTURES = {
    Posture.UNKNOWN: BodyPosture.OTHER,
    Posture.STANDING: BodyPosture.STANDING,
    Posture.SITTING: BodyPosture.SITTING,
    Posture.CROUCHING: BodyPosture.CROUCHING,
    Posture.LYING: BodyPosture.LAYING,
}
"""Constant of hri_msgs/BodyPosture for each posture."""
GESTURES = {kind: getattr(GestureMessage, kind.name, GestureMessage.OTHER) for kind in Gesture}
"""Constant of hri_msgs/Gesture for each gesture; OTHER where this version has none."""


@dataclass
class _Recognition(TrackTopics):
    waving: Waving = field(default_factory=Waving)
    fall: Fall = field(default_factory=Fall)


class Recognitions(TopicGroup[_Recognition]):
    """The topics gesture, posture, pointing and fallen; state begins with the first subscriber."""

    def _make(self, track_id: str) -> _Recognition:
        kinds = {
            "gesture": GestureMessage,
            "posture": BodyPosture,
            "pointing": PoseStamped,
            "fallen": Bool,
        }
        return _Recognition(self._publishers(f"/humans/bodies/{track_id}", kinds))

    def publish(self, frame: PeopleFrame) -> None:
        """Publish what has subscribers."""
        for index, track_id in enumerate(frame.ids):
            body = self._tracks[track_id]
            if body.wanted("gesture", "pointing"):
                self._publish_gesture(frame, index, body)
            if body.wanted("posture", "fallen"):
                self._publish_posture(frame, index, body)

    def _publish_gesture(self, frame: PeopleFrame, index: int, body: _Recognition) -> None:
        joints, confidence = frame.observed_joints[index], frame.confidence[index]
        if body.wanted("gesture"):
            waves = body.waving.update(frame.seconds, joints, confidence, frame.up)
            seen = gesture(joints, confidence, frame.up, waves=waves)
            body.publishers["gesture"].publish(
                GestureMessage(header=frame.header, gesture=GESTURES[seen])
            )
        if body.wanted("pointing"):
            ray = pointing(joints, confidence)
            if ray is not None and np.isfinite(ray.direction).all():
                pose = _pose(ray)
                body.publishers["pointing"].publish(PoseStamped(header=frame.header, pose=pose))

    def _publish_posture(self, frame: PeopleFrame, index: int, body: _Recognition) -> None:
        joints, confidence = frame.observed_joints[index], frame.confidence[index]
        seen = posture(joints, confidence, frame.up)
        if body.wanted("posture"):
            message = BodyPosture(header=frame.header, posture=POSTURES[seen])
            body.publishers["posture"].publish(message)
        if body.wanted("fallen"):
            height = pelvis_height(joints, frame.up, frame.floor)
            fallen = body.fall.update(frame.seconds, seen, height)
            if np.isfinite(fallen):
                body.publishers["fallen"].publish(Bool(data=fallen == 1.0))


def _pose(ray: Ray) -> Pose:
    """Return a pose whose x axis is the ray."""
    qx, qy, qz, qw = quaternions.between((1.0, 0.0, 0.0), ray.direction).tolist()
    x, y, z = ray.origin.tolist()
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))
