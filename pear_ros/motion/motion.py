# SPDX-License-Identifier: Apache-2.0
"""The types of this package: what was observed of a person, and the motion made of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pear_ros.core import quaternions
from pear_ros.core.people import Array
from pear_ros.motion.skeleton import Skeleton

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Observations:
    """One person in T images, in one frame: the camera's optical frame, or the world."""

    id: str
    """Track id."""
    seconds: Doubles
    """(T,) time since the recording began, seconds, ascending."""
    rotations: Doubles
    """(T, 55, 4) unit quaternions x y z w: the root's in the frame, others relative to parents."""
    pelvis: Doubles
    """(T, 3) joint 0 in the frame, metres."""
    confidence: Doubles
    """(T, 55) of the joints, 0 to 1; NaN: not estimated."""
    seen: Flags
    """(T,) whether the body was measured in the image, and not predicted."""
    camera: Doubles
    """(T, 3) position of the camera in the frame, metres."""
    skeleton: Skeleton
    """Bones of the person, in true size."""


@dataclass(frozen=True)
class Motion:
    """One person's motion at T equidistant times, in a world with z up and the floor at z = 0."""

    id: str
    """Track id; parts after a long gap have _part2, _part3 ... behind it."""
    rate: int
    """Frames a second."""
    first: int
    """Number of the first frame since the recording began."""
    rotations: Doubles
    """(T, 55, 4) unit quaternions x y z w: the root's from the body's rest axes (x to the left, y
    up, z out of the chest) to the world, others relative to parents."""
    pelvis: Doubles
    """(T, 3) joint 0, metres."""
    skeleton: Skeleton
    """Bones of the person, in true size."""
    rotation_std: Doubles
    """(T, 55) standard deviation of each rotation about each axis, radians; it grows in gaps."""
    pelvis_std: Doubles
    """(T, 3) standard deviation of the pelvis along the world's axes, metres."""
    seen: Flags
    """(T,) False: filled in, as the person was not measured around this time."""
    hands_seen: Flags
    """(T, 2) left, right; False: the hand was not seen and is at rest."""
    contact: Doubles
    """(T, 4) probability that left heel, left toes, right heel, right toes touch the floor."""

    @property
    def pose(self) -> Array:
        """(T, 55, 3) the rotations as axis-angle, radians."""
        pose: Array = quaternions.to_vectors(self.rotations).astype(np.float32)
        return pose

    def joints(self) -> Doubles:
        """Return the joints (T, 55, 3) in the world, metres."""
        return self.skeleton.joints(self.rotations, self.pelvis)
