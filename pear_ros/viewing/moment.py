# SPDX-License-Identifier: Apache-2.0
"""What a viewer shows at one time, and the protocol of recordings, made of such moments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pear_ros.core.people import Array, Image, People
from pear_ros.core.rigid_transform import RigidTransform

LEVEL_CAMERA = RigidTransform(
    np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]), np.zeros(3)
)
"""Pose of the optical frame of a level camera in a frame with x forward, y left, z up (REP-103)."""


@dataclass(frozen=True)
class Moment:
    """People in one image, as they were published, with what surrounds them."""

    seconds: float
    """Time of the image, since the start of the recording or of the viewer."""
    people: People
    """In the camera's optical frame."""
    camera_pose: RigidTransform = LEVEL_CAMERA
    """Pose of the optical frame in the world, which has z up and the floor at z = 0."""
    picture: Image | None = None
    """The image; None where it is not known."""
    frames: Mapping[str, RigidTransform] = field(default_factory=dict)
    """Poses of the robot's frames in the world, by name."""


@dataclass(frozen=True)
class TrackSummary:
    """One person in the T images of a recording in which they were present."""

    frames: npt.NDArray[np.int64]
    """(T,) indices into Recording.seconds, ascending."""
    pelvis: Array
    """(T, 3) position of the pelvis in the optical frame, metres."""
    angles: Array
    """(T, 20) angles of pear_ros.hri.joint_angles.ANGLES, radians; NaN: unknown."""


class Recording(Protocol):
    """Recorded people, read as they are needed."""

    name: str
    """Name for people: of the file or bag."""

    @property
    def start(self) -> float:
        """Time of the first image, seconds since 1970; 0 where only differences are known."""

    @property
    def seconds(self) -> npt.NDArray[np.float64]:
        """(F,) times of the images since the first one, ascending."""

    @property
    def notes(self) -> Sequence[str]:
        """Damage and what is missing, one sentence each."""

    def moment(self, index: int) -> Moment:
        """Return what was recorded in the image of this index."""

    def summary(self) -> Mapping[str, TrackSummary]:
        """Return all people by id, as far as the recording was read."""

    def close(self) -> None:
        """Release files and threads."""
