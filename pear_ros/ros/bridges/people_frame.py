# SPDX-License-Identifier: Apache-2.0
"""The people of one image as arrays, for the bridges."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from rclpy.qos import QoSProfile
from std_msgs.msg import Header

from pear_msgs.msg import Human, HumanArray
from pear_ros.core.people import NUM_JOINTS, Array
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.core.timestamps import seconds_of
from pear_ros.hri.body_parts import LEVEL_CAMERA_UP, Float64

NEWEST = QoSProfile(depth=1)
"""Reliable, which every subscriber can receive; only the newest message is kept."""


class PeopleFrame:
    """The people of one image as arrays, made when they are first needed."""

    def __init__(
        self,
        message: HumanArray,
        humans: Sequence[Human],
        target_frame: str = "",
        to_target: RigidTransform | None = None,
    ) -> None:
        """Take the people `humans` of a message who are not lost.

        `to_target`: transform from the camera to `target_frame`, a level frame; None: not known.
        """
        self.message = message
        self.header: Header = message.header
        self.humans = humans
        self.ids = [human.id for human in humans]
        self.seconds = seconds_of(message.header)
        self.target_frame = target_frame
        self.to_target = to_target

    @cached_property
    def poses(self) -> Array:
        """(N, 22, 3) axis-angle poses of the bodies, without face and fingers."""
        parts = [[human.smplx.global_orient, human.smplx.body_pose] for human in self.humans]
        poses: Array = np.stack([np.concatenate(part) for part in parts])
        return poses.reshape(len(self.humans), -1, 3)

    @cached_property
    def joints(self) -> Array:
        """(N, 55, 3) joints in the optical frame, metres."""
        return self.rows("joints", NUM_JOINTS, 3)

    @cached_property
    def confidence(self) -> Array:
        """(N, 55) confidence of the joints; NaN: the estimator gives none."""
        return self.rows("joint_confidence", NUM_JOINTS)

    @cached_property
    def observed_joints(self) -> Array:
        """(N, 55, 3) joints; NaN for people who were not observed in this image."""
        hidden = [human.tracking_state == Human.PREDICTED for human in self.humans]
        joints = self.joints.copy()
        joints[hidden] = np.nan
        return joints

    @cached_property
    def hips(self) -> Float64:
        """(N, 3) middle of the hips, the origin of body_<id> (REP-155), metres."""
        middle: Float64 = self.joints[:, 1:3].mean(axis=1, dtype=np.float64)
        return middle

    @property
    def up(self) -> Float64:
        """(3,) upwards in the optical frame; of a level camera, if its tilt is not known."""
        return LEVEL_CAMERA_UP if self.to_target is None else self.to_target.rotation[2]

    @property
    def floor(self) -> float:
        """Component of the floor along `up`, metres: where the target frame's z is 0; or NaN."""
        return np.nan if self.to_target is None else -float(self.to_target.translation[2])

    def rows(self, name: str, *shape: int) -> Array:
        """Return a fixed-size array of each message as (N, *shape)."""
        rows = [getattr(human, name) for human in self.humans]
        stacked: Array = np.stack(rows).reshape(len(self.humans), *shape)
        return stacked
