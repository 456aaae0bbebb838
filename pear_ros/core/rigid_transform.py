# SPDX-License-Identifier: Apache-2.0
"""Rigid transforms: the position and orientation of one frame in another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from pear_ros.core import quaternions

Float64 = npt.NDArray[np.float64]
Points = TypeVar("Points", bound=npt.NDArray[Any])
"""Points or vectors; their dtype is kept."""


@dataclass(frozen=True, eq=False)
class RigidTransform:
    """Coordinates in a source frame to coordinates in a target frame: p' = R p + t.

    It is the pose of the source frame in the target frame.
    """

    rotation: Float64
    """(3, 3) R: its columns are the source frame's axes in the target frame."""
    translation: Float64
    """(3,) t: the source frame's origin in the target frame, metres."""

    @classmethod
    def identity(cls) -> RigidTransform:
        """Return the transform of a frame to itself."""
        return cls(np.eye(3), np.zeros(3))

    @classmethod
    def from_quaternion(
        cls, translation: npt.ArrayLike, quaternion: npt.ArrayLike
    ) -> RigidTransform:
        """Return the transform of a `translation` (3,), metres, and a unit `quaternion` x y z w."""
        x, y, z, w = np.asarray(quaternion, np.float64)
        rotation = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
                [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
                [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
            ]
        )
        return cls(rotation, np.asarray(translation, np.float64))

    @property
    def quaternion(self) -> Float64:
        """(4,) unit quaternion x y z w of the rotation, with w >= 0."""
        return quaternions.from_matrix(self.rotation)

    def inverse(self) -> RigidTransform:
        """Return the transform from the target frame to the source frame."""
        back = self.rotation.T
        return RigidTransform(back, -back @ self.translation)

    def __matmul__(self, first: RigidTransform) -> RigidTransform:
        """Return the transform that applies `first`, then this one."""
        return RigidTransform(
            self.rotation @ first.rotation, self.rotation @ first.translation + self.translation
        )

    def apply(self, points: Points) -> Points:
        """Return `points` (..., 3) of the source frame in the target frame, in their dtype."""
        rotation, translation = (a.astype(points.dtype) for a in (self.rotation, self.translation))
        moved: Points = points @ rotation.T + translation
        return moved

    def rotate(self, vectors: Points) -> Points:
        """Return `vectors` (..., 3), such as velocities, in the target frame, in their dtype."""
        turned: Points = vectors @ self.rotation.T.astype(vectors.dtype)
        return turned

    @property
    def angle(self) -> float:
        """Angle of the rotation, radians, 0 to pi."""
        return float(np.linalg.norm(quaternions.to_vectors(self.quaternion)))
