# SPDX-License-Identifier: Apache-2.0
"""Says whether somebody is in a region, and where exactly, for estimators that cannot tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pear_ros.core.estimator import Region
from pear_ros.core.people import Array, Image
from pear_ros.core.state import Stateful
from pear_ros.landmarks.pose import PoseModel, in_sight, roi_from_box, visible_box
from pear_ros.landmarks.roi import Roi


@dataclass(frozen=True)
class Sighting:
    """Somebody in a region."""

    box: Array
    """(4,) x0 y0 x1 y1 around what is visible of the person, pixels."""
    score: float
    """Confidence that this is a person, 0 to 1."""


class PersonFollower(Stateful):
    """Looks for the person of each region by BlazePose, from image to image; not thread-safe."""

    state_attributes = ("_rois",)

    def __init__(self, threads: int = 2) -> None:
        """Load the model. Raises pear_ros.io.downloads.AssetError when its file is missing."""
        self._model = PoseModel(threads)
        self._rois: dict[str, Roi] = {}

    def __call__(self, image: Image, regions: Sequence[Region]) -> list[Sighting | None]:
        """Who is seen in each region, in the regions' order; None where there is nobody.

        Where a detector has said that somebody is, it is believed and nothing is computed.
        Whoever is no longer among the regions is forgotten.
        """
        sightings: list[Sighting | None] = []
        rois: dict[str, Roi] = {}
        for region in regions:
            if not math.isnan(region.score):
                sightings.append(Sighting(region.box, region.score))
                continue
            known = self._rois.get(region.id)
            roi = known or roi_from_box(region.box)
            pose = self._model.find(image, roi, proposed=known is None)
            if pose and (known or in_sight(pose)):
                rois[region.id] = pose.roi
                sightings.append(Sighting(visible_box(pose), pose.score))
            else:
                sightings.append(None)
        self._rois = rois
        return sightings

    def reset(self) -> None:
        """Forget everybody."""
        self._rois.clear()
