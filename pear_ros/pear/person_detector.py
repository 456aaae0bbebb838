# SPDX-License-Identifier: Apache-2.0
"""Detects the person in each region by BlazePose, for estimators that assume that there is one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pear_ros.core.device_image import DeviceImage, on_cpu
from pear_ros.core.estimator import Region
from pear_ros.core.people import Array, Image
from pear_ros.core.state import Stateful
from pear_ros.landmarks.detected_pose import LENGTHS, roi_of_length
from pear_ros.landmarks.pose import PoseModel, roi_from_box, sufficiently_visible, visible_box
from pear_ros.landmarks.roi import Roi


@dataclass(frozen=True)
class DetectedPerson:
    """The person in a region."""

    box: Array
    """(4,) x0, y0, x1, y1 around the visible part of the person, pixels."""
    score: float
    """Confidence that this is a person, 0 to 1."""


class RegionPersonDetector(Stateful):
    """Detects the person in each region by BlazePose and tracks them by id from image to image.

    A track's region of interest in the next image is predicted from its landmarks in this one
    (BlazePose, Bazarevsky et al., arXiv 2006.10204). Not thread-safe.

    A detector that runs in every image takes the place of BlazePose. One that runs in some images
    does not, as boxes of two kinds in turn would make crops jump: its boxes begin tracks, and serve
    where BlazePose detects nobody.
    """

    state_attributes = ("_rois", "_detected")

    def __init__(self, threads: int = 2) -> None:
        """Load the model, to be run by `threads` threads.

        Raises pear_ros.io.downloads.AssetError when the model's file is missing.
        """
        self._model = PoseModel(threads)
        self._rois: dict[str, Roi] = {}
        self._detected: dict[str, Array] = {}
        """Boxes (4,) of the regions that had a detector's score in the last image."""

    def __call__(
        self, image: Image | DeviceImage, regions: Sequence[Region]
    ) -> list[DetectedPerson | None]:
        """Return the person in each region, in the regions' order; None where there is none.

        `image` (H, W, 3): blue, green and red. A region with a detector's score is taken as
        detected, and nothing is computed, unless BlazePose tracks the person and the region had no
        score in the last image. Tracks that are not among `regions` end.
        """
        people: list[DetectedPerson | None] = []
        rois: dict[str, Roi] = {}
        for region in regions:
            tracked = self._rois.get(region.id)
            detected = None
            if not math.isnan(region.score):
                detected = DetectedPerson(region.box, region.score)
                if tracked is None or region.id in self._detected:
                    people.append(detected)
                    continue
            roi = tracked or self._roi_of_detection(region.id) or roi_from_box(region.box)
            pose = self._model.detect(on_cpu(image), roi, proposed=tracked is None)
            if pose and (tracked or sufficiently_visible(pose)):
                rois[region.id] = pose.roi
                people.append(DetectedPerson(visible_box(pose), pose.score))
            else:
                people.append(detected)
        self._rois = rois
        self._detected = {one.id: one.box for one in regions if not math.isnan(one.score)}
        return people

    def _roi_of_detection(self, region_id: str) -> Roi | None:
        """Return the region of interest of a person who was detected in the last image."""
        box = self._detected.get(region_id)
        return None if box is None else roi_of_length(box, LENGTHS[0])

    def reset(self) -> None:
        """End all tracks."""
        self._rois, self._detected = {}, {}
