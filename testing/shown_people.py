# SPDX-License-Identifier: Apache-2.0
"""A recording for the viewer that is made, not read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from pear_ros.body import load_open_body
from pear_ros.core.people import Image, People, Person
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.viewing.moment import LEVEL_CAMERA, Moment, TrackSummary
from testing.open_people import CAMERA

RATE = 10.0
"""Images a second."""


class ShownPeople:
    """A recording with the given people in each image."""

    def __init__(
        self,
        images: Sequence[Sequence[Person]],
        *,
        name: str = "shown",
        body: str | None = None,
        start: float = 0.0,
        notes: Sequence[str] = (),
        picture: Image | None = None,
        poses: Sequence[RigidTransform] = (),
    ) -> None:
        """`body`: name of people's; None: the open one. `poses`: of the camera; else level."""
        self.name, self.start, self.notes = name, start, notes
        self.seconds: npt.NDArray[np.float64] = np.arange(len(images)) / RATE
        self._images, self._picture = images, picture
        self._body = load_open_body().name if body is None else body
        self._poses = poses
        self.closed = False

    def moment(self, index: int) -> Moment:
        people = People(CAMERA, "shown/1", self._body, self._images[index])
        pose = self._poses[index] if self._poses else LEVEL_CAMERA
        return Moment(float(self.seconds[index]), people, pose, self._picture)

    def summary(self) -> Mapping[str, TrackSummary]:
        found: dict[str, list[tuple[int, Person]]] = {}
        for index, persons in enumerate(self._images):
            for one in persons:
                found.setdefault(one.id, []).append((index, one))
        return {
            name: TrackSummary(
                np.array([index for index, _ in rows]),
                np.array([one.joints[0] for _, one in rows]),
                np.full((len(rows), 20), np.nan, np.float32),
            )
            for name, rows in found.items()
        }

    def close(self) -> None:
        self.closed = True
