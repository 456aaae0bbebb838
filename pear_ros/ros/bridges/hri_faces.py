# SPDX-License-Identifier: Apache-2.0
"""Faces and their action units: /humans/faces/ of REP-155. A face has the id of its body."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from hri_msgs.msg import FacialActionUnits, IdsList, NormalizedRegionOfInterest2D
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from pear_msgs.msg import BodyModelInfo, Human
from pear_ros.core.people import NUM_JOINTS
from pear_ros.hri.action_units import action_units, has_action_units
from pear_ros.hri.body_parts import JOINT, MIN_CONFIDENCE
from pear_ros.ros.bridges.hri_topics import TopicGroup, TrackTopics
from pear_ros.ros.bridges.people_frame import NEWEST, PeopleFrame

_LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_JAW = JOINT["jaw"]
_EYES = [JOINT["left_eye_smplhf"], JOINT["right_eye_smplhf"]]
_SIDE = 2.0
"""Side of a face's region, in distances of the head joint and the eyes."""


class Faces(TopicGroup[TrackTopics]):
    """The topic tracked, and roi and facs of each face that was read in this image."""

    def __init__(self, node: Node) -> None:
        """Publish by `node`, and listen to body_model for the names of the coefficients."""
        super().__init__(node)
        self._tracked = node.create_publisher(IdsList, "/humans/faces/tracked", NEWEST)
        self._names: list[str] = []
        node.create_subscription(BodyModelInfo, "body_model", self._take_names, _LATCHED)

    def _take_names(self, model: BodyModelInfo) -> None:
        self._names = list(model.expression_names)
        if not has_action_units(self._names):
            self._node.get_logger().warning(
                f"The expressions of the body model {model.name!r} are no named blend shapes, so "
                "facs is not published: only the open body has action units"
            )

    def _make(self, track_id: str) -> TrackTopics:
        kinds = {"roi": NormalizedRegionOfInterest2D, "facs": FacialActionUnits}
        return TrackTopics(self._publishers(f"/humans/faces/{track_id}", kinds))

    def publish(self, frame: PeopleFrame) -> None:
        """Publish the faces that were read, and what of them has subscribers."""
        read = [index for index in range(len(frame.ids)) if _is_read(frame, index)]
        self._tracked.publish(
            IdsList(header=frame.header, ids=[frame.ids[index] for index in read])
        )
        for index in read:
            face = self._tracks[frame.ids[index]]
            if face.wanted("roi"):
                face.publishers["roi"].publish(_region(frame, index))
            if face.wanted("facs") and has_action_units(self._names):
                message = self._action_units(frame, index)
                if message is not None:
                    face.publishers["facs"].publish(message)

    def end(self, ids: Collection[str]) -> None:
        """Remove the topics of lost people; if nobody is left, no face is tracked."""
        if self._tracks and not ids:
            message = IdsList()
            message.header.stamp = self._node.get_clock().now().to_msg()
            self._tracked.publish(message)
        super().end(ids)

    def _action_units(self, frame: PeopleFrame, index: int) -> FacialActionUnits | None:
        human: Human = frame.humans[index]
        if len(human.smplx.expression) != len(self._names):
            return None  # body_model of another node, or not yet of this one
        expression = np.asarray(human.smplx.expression)
        units = action_units(self._names, expression, float(human.smplx.jaw_pose[0]))
        sure = np.where(np.isfinite(units), frame.confidence[index, _JAW], 0.0)
        return FacialActionUnits(
            header=frame.header, intensity=units, confidence=sure.astype(np.float32)
        )


def _is_read(frame: PeopleFrame, index: int) -> bool:
    """Return whether the face was read: the jaw has no other source than the face."""
    observed = frame.humans[index].tracking_state in (Human.NEW, Human.TRACKED)
    return observed and bool(frame.confidence[index, _JAW] >= MIN_CONFIDENCE)


def _region(frame: PeopleFrame, index: int) -> NormalizedRegionOfInterest2D:
    """Return a square around the eyes, clipped to the image."""
    image = frame.message
    keypoints = frame.rows("keypoints", NUM_JOINTS, 2)[index]
    joints = frame.joints[index]
    middle = keypoints[_EYES].mean(axis=0)
    metres = _SIDE * np.linalg.norm(joints[_EYES].mean(axis=0) - joints[JOINT["head"]])
    half = metres / 2 * image.fx / joints[JOINT["head"], 2]
    size = np.array([image.image_width, image.image_height])
    low, high = (
        np.clip((middle + sign * half + 0.5) / size, 0.0, 1.0).tolist() for sign in (-1, 1)
    )
    return NormalizedRegionOfInterest2D(
        header=image.header,
        xmin=low[0],
        ymin=low[1],
        xmax=high[0],
        ymax=high[1],
        c=float(frame.confidence[index, _JAW]),
    )
