# SPDX-License-Identifier: Apache-2.0
"""Motion of a camera between two images, from its poses in a fixed frame."""

from __future__ import annotations

from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.core.state import Stateful

_MAX_SPEED = 5.0
"""Speed of a camera on a robot, m/s, above which its pose has jumped."""
_MAX_ANGULAR_SPEED = 10.0
"""Angular speed above which it has, radians per second."""
_SLACK = 0.1
"""Metres, and radians, that poses may be corrected between two images."""
_MAX_GAP = 2.0
"""Seconds without a pose after which the motion is unknown."""


class CameraMotion(Stateful):
    """Compares the pose of each image with that of the image before; not thread-safe."""

    def __init__(self) -> None:
        """Start without a pose."""
        self._pose: tuple[float, RigidTransform] | None = None
        """Stamp, seconds, and pose of the last image that had one."""

    def __call__(self, pose: RigidTransform | None, stamp: float) -> RigidTransform | None:
        """Return the transform from the optical frame of the last image to that of this one.

        `pose`: of the optical frame in the fixed frame, at `stamp`, seconds. None where a pose is
        unknown, or where it has jumped, as when a robot localises itself anew: such a jump is no
        motion of the camera.
        """
        last, self._pose = self._pose, None if pose is None else (stamp, pose)
        if pose is None or last is None or not 0.0 <= stamp - last[0] <= _MAX_GAP:
            return None
        motion = pose.inverse() @ last[1]
        return None if has_jumped(motion, stamp - last[0]) else motion

    def reset(self) -> None:
        """Forget the last pose."""
        self._pose = None


def has_jumped(motion: RigidTransform, seconds: float) -> bool:
    """Return whether no camera moves by `motion` within some `seconds`."""
    distance = float((motion.translation @ motion.translation) ** 0.5)
    return (
        distance > _MAX_SPEED * seconds + _SLACK
        or motion.angle > _MAX_ANGULAR_SPEED * seconds + _SLACK
    )
