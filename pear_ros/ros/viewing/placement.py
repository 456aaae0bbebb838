# SPDX-License-Identifier: Apache-2.0
"""Where the camera and the robot's frames are in the viewer's world: by transforms, or assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pear_ros.core.people import Array, People
from pear_ros.core.quoting import quoted
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.ros.transform_buffer import TransformBuffer, TransformError
from pear_ros.viewing.assumed_camera import assumed_camera

FIXED_FRAMES = ("map", "odom", "world", "base_footprint", "base_link")
"""Frames that are level (REP-105, REP-120), the first of them that the camera is below is taken."""
_ON_FLOOR = FIXED_FRAMES[:-1]
"""Those whose z = 0 is the floor; base_link may be anywhere in the robot."""
_MAX_FRAMES = 40
_PEOPLE = ("body_", "face_", "gaze_", "voice_", "left_hand_", "right_hand_")
"""Beginnings of names of people's frames (REP-155), which are shown as people."""
_UPDATES = (1, 5, 20, 60, 200)
"""Numbers of seen persons at which an assumed pose is computed again, the last time for good."""


class Placed(NamedTuple):
    """The poses of one moment in the world."""

    camera: RigidTransform
    frames: Mapping[str, RigidTransform]
    note: str
    """Why the camera's pose is assumed; empty where it is known."""


class Placement:
    """Poses from transforms, where they say how the camera stands, else from people."""

    def __init__(self, frame: str = "") -> None:
        """`frame`: level frame to use as the world, with the floor at z = 0; empty: found."""
        self._frame = frame
        self._joints: list[Array] = []
        self._assumed: RigidTransform | None = None
        self._height = 0.0

    def __call__(
        self, buffer: TransformBuffer, camera: str, nanoseconds: int, people: People
    ) -> Placed:
        """Return the poses at the stamp of an image. `camera`: its optical frame."""
        self.learn(people)
        world = self._frame or self._fixed(buffer.ancestors(camera))
        if not world:
            names = ", ".join(FIXED_FRAMES)
            return self._unknown(f"no transform connects {quoted(camera)} with {names}")
        try:
            pose = buffer.lookup(world, camera, nanoseconds)
        except TransformError as error:
            return self._unknown(str(error))
        lift = np.zeros(3)
        if world not in _ON_FLOOR and not self._frame:
            lift[2] = self._floor(pose)
        frames = self._frames(buffer, world, nanoseconds)
        return Placed(_lifted(pose, lift), {n: _lifted(p, lift) for n, p in frames.items()}, "")

    @property
    def learnt(self) -> bool:
        """Whether enough people were seen."""
        return len(self._joints) >= _UPDATES[-1]

    def learn(self, people: People) -> None:
        """See how people stand, for a camera whose pose is not known."""
        if self.learnt:
            return
        for person in people.persons:
            if person.pose_observed and np.isfinite(person.joints).all():
                self._joints.append(person.joints)
                if len(self._joints) in _UPDATES:
                    self._assumed = assumed_camera(np.array(self._joints))

    def _unknown(self, reason: str) -> Placed:
        pose = self._assumed or assumed_camera(np.empty((0, 55, 3), np.float32))
        note = (
            "How the camera stands is assumed, so that people are upright on one floor, since "
            f"{reason}."
        )
        return Placed(pose, {}, note)

    def _floor(self, pose: RigidTransform) -> float:
        """Return how far the world must be raised for people to stand on its z = 0."""
        if not self._joints:
            return 0.0
        heights = pose.apply(np.array(self._joints[-50:], np.float64))[..., 2].min(axis=1)
        if not self._height:
            self._height = -float(np.median(heights))
        return self._height

    @staticmethod
    def _fixed(ancestors: Sequence[str]) -> str:
        return next((name for name in FIXED_FRAMES if name in ancestors), "")

    @staticmethod
    def _frames(
        buffer: TransformBuffer, world: str, nanoseconds: int
    ) -> Mapping[str, RigidTransform]:
        found: dict[str, RigidTransform] = {}
        for name in buffer.names():
            if len(found) >= _MAX_FRAMES:
                break
            if name.startswith(_PEOPLE):
                continue
            try:
                found[name] = buffer.lookup(world, name, nanoseconds)
            except TransformError:
                continue
        return found


def _lifted(pose: RigidTransform, lift: npt.NDArray[np.float64]) -> RigidTransform:
    return RigidTransform(pose.rotation, pose.translation + lift)
