# SPDX-License-Identifier: Apache-2.0
"""Region, skeleton and joint angles of each body: /humans/bodies/<id>/ of REP-155."""

from __future__ import annotations

import numpy as np
from hri_msgs.msg import (
    NormalizedPointOfInterest2D,
    NormalizedRegionOfInterest2D,
    Skeleton2D,
)
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from pear_msgs.msg import Human, HumanArray
from pear_ros.body.joint_frames import Float64
from pear_ros.core.people import NUM_JOINTS, Array
from pear_ros.hri.joint_angles import ANGLES, complete, joint_angles
from pear_ros.hri.skeleton import ImageGeometry, skeletons
from pear_ros.ros.bridges.hri_topics import TopicGroup, TrackTopics
from pear_ros.ros.bridges.people_frame import PeopleFrame


class Bodies(TopicGroup[TrackTopics]):
    """The topics roi, skeleton2d and joint_states."""

    def _make(self, track_id: str) -> TrackTopics:
        kinds = {
            "roi": NormalizedRegionOfInterest2D,
            "skeleton2d": Skeleton2D,
            "joint_states": JointState,
        }
        return TrackTopics(self._publishers(f"/humans/bodies/{track_id}", kinds))

    def publish(self, frame: PeopleFrame) -> None:
        """Publish what has subscribers."""
        bodies = [self._tracks[track_id] for track_id in frame.ids]
        for body, human in zip(bodies, frame.humans, strict=True):
            if body.wanted("roi"):
                body.publishers["roi"].publish(_region(human, frame.message))
        if any(body.wanted("skeleton2d") for body in bodies):
            for body, skeleton in zip(bodies, _skeletons(frame), strict=True):
                body.publishers["skeleton2d"].publish(_skeleton(frame.header, skeleton))
        if any(body.wanted("joint_states") for body in bodies):
            known = np.flatnonzero(complete(frame.poses, frame.joints))
            angles = joint_angles(frame.poses[known], frame.joints[known])
            for index, row in zip(known, angles, strict=True):
                state = _joint_state(frame.header, frame.ids[index], row)
                bodies[index].publishers["joint_states"].publish(state)


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


def _skeletons(frame: PeopleFrame) -> Array:
    image = frame.message
    picture = ImageGeometry(image.image_width, image.image_height, image.fx, image.fy)
    keypoints = frame.rows("keypoints", NUM_JOINTS, 2)
    scores = np.array([human.score for human in frame.humans], np.float32)
    confidence = np.where(np.isnan(frame.confidence), scores[:, None], frame.confidence)
    return skeletons(picture, frame.poses, frame.joints, keypoints, confidence)


def _skeleton(header: Header, points: Array) -> Skeleton2D:
    return Skeleton2D(
        header=header,
        skeleton=[NormalizedPointOfInterest2D(x=x, y=y, c=c) for x, y, c in points.tolist()],
    )


def _joint_state(header: Header, track_id: str, angles: Float64) -> JointState:
    names = [f"{name}_{track_id}" for name in ANGLES]
    return JointState(header=header, name=names, position=angles.tolist())
