# SPDX-License-Identifier: Apache-2.0
"""The built-in detector: NanoDet on a video, in the background."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pear_ros.core.boxes import intersection_area, iou_matrix, same_person
from pear_ros.core.device_image import DeviceImage, on_cpu
from pear_ros.core.estimator import Detection
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import Array, Image
from pear_ros.detection.background_search import BackgroundSearch
from pear_ros.detection.nanodet import NanoDet

SEARCH_INTERVAL = 0.1
"""Seconds from one search to the next while nobody is tracked, or a track inside the image was not
measured."""
TRACKING_INTERVAL = 0.3
"""Seconds from one search to the next while all tracks were measured in the last image."""
MAX_DELAY = 0.08
"""Seconds between two images up to which detections are returned with the next image. In images
that are further apart, detections of the last one would be of no use."""

CONFIDENT_SCORE = 0.5
"""Score from which on a new detection in a video is certainly a person.

Things that resemble people are detected again and again, but with lower scores; those of people
vary as they move.
"""

_MIN_INSIDE = 0.5
"""Share of a track's predicted box inside the image from which on the person is looked for."""
_MAX_MISSES = 2
"""Successive searches that may miss a person who keeps being detected with low scores."""
_UNCHANGED_IOU = 0.8
"""Two boxes with a larger intersection over union show the same thing, which has not moved."""
_TOLERANCE = 0.005
"""Seconds by which an image may come before a search is due."""


class NanoDetDetector:
    """NanoDet in the first image, then a few times a second; not thread-safe.

    While people are tracked it runs in a thread of its own, and detections in one image are
    returned with the next. Those of tracked people re-associate them with their tracks.

    Scores have a hysteresis, as in a video one false detection follows the other: a person whose
    score was CONFIDENT_SCORE once keeps being detected from the least score up. Other detections of
    low score are returned as proposals, which the estimator has to judge, and are proposed again
    when their box has changed. So a person whom this detector returns with a score can be published
    at once, even if the body cannot be read.

    In fast motion people score low: predicted boxes of tracks that were not measured are proposals,
    too, at most as often as there are searches.
    """

    takes_device_images = True
    """Pixels of images in which it does not search are not read."""

    def __init__(self, min_score: float = Parameters.min_detection_score) -> None:
        """Load the model; `min_score`: least score of a person, 0 to 1.

        Raises pear_ros.io.downloads.AssetError when its file is missing or damaged.
        """
        self._detect = NanoDet()
        self._min_score = min_score
        self._search = BackgroundSearch()
        self._confident: list[tuple[Array, int]] = []
        """Boxes (4,) of those who are certainly people, and searches since that missed them."""
        self._proposed: list[Array] = []
        """Boxes (4,) of proposals that were detected in the last search as well."""
        self._size: tuple[int, int] | None = None
        """Width and height of the last image, pixels; None: there was none."""
        self._last_stamp = -math.inf
        """Stamp of the last image, seconds."""
        self._last_search = -math.inf
        """Stamp of the image that was searched last, seconds."""

    def __call__(
        self, image: Image | DeviceImage, tracked: int, coasting: Sequence[Array], stamp: float
    ) -> list[Detection]:
        """Return people in this image or, while people are tracked, in the image before.

        Arguments as of pear_ros.detection.detectors.Detector.
        """
        searched = self._search.finish()
        found = [] if searched is None else self._judged(searched)
        size, since_last = (image.shape[1], image.shape[0]), stamp - self._last_stamp
        first = size != self._size
        self._size, self._last_stamp = size, stamp
        missing = _inside(coasting, size)
        interval = TRACKING_INTERVAL if tracked and not missing else SEARCH_INTERVAL
        # Stamps that do not ascend are those of single pictures.
        since_search = stamp - self._last_search
        if not first and 0.0 < since_search < interval - _TOLERANCE:
            return found
        self._last_search = stamp
        found += [
            Detection(box)
            for box in missing
            if not any(same_person(box, detection.box) for detection in found)
        ]
        if not first and tracked and 0.0 < since_last <= MAX_DELAY:
            self._search.start(self._detect, on_cpu(image))
            return found
        if first or since_search <= 0.0:
            return self._judged(self._detect.detect_still(on_cpu(image)), single=True)
        return self._judged(self._detect(on_cpu(image)))

    def reset(self) -> None:
        """Drop the state of all earlier images: the next one is searched at once."""
        self._search.drop()
        self._size, self._last_stamp, self._last_search = None, -math.inf, -math.inf
        self._confident, self._proposed = [], []

    def state(self) -> Any:
        """Return what is known of the last image, and the last search with its detections."""
        last = self._size, self._last_stamp, self._last_search
        return *last, self._confident, self._proposed, self._search.state()

    def restore(self, state: Any) -> None:
        """Replace the state by one that `state` returned; the detector owns it from then on."""
        *last, self._confident, self._proposed, found = state
        self._size, self._last_stamp, self._last_search = last
        self._search.restore(found)

    def _judged(self, detections: list[Detection], single: bool = False) -> list[Detection]:
        """Return the detections of a search; those that are uncertain become proposals.

        `single`: the image has no history, so that the least score has to suffice.
        """
        confident: list[tuple[Array, int]] = []
        proposed, self._proposed = self._proposed, []
        judged = []
        for detection in detections:
            box, suffices = detection.box, detection.score >= self._min_score
            known = any(same_person(box, other) for other, _ in self._confident)
            if detection.score >= CONFIDENT_SCORE or known:
                if suffices:
                    confident.append((box, 0))
                    judged.append(detection)
                continue
            unchanged = [b for b in proposed if iou_matrix(box[None], b[None]) > _UNCHANGED_IOU]
            if unchanged and not single:
                self._proposed += unchanged
            elif suffices:
                self._proposed.append(box)
                judged.append(detection if single else Detection(box))
        missed = [
            (box, misses + 1)
            for box, misses in self._confident
            if misses < _MAX_MISSES and not any(same_person(box, other) for other, _ in confident)
        ]
        self._confident = confident + missed
        return judged

    def close(self) -> None:
        """Stop the thread; the detector cannot be used afterwards."""
        self._search.close()


def _inside(boxes: Sequence[Array], size: tuple[int, int]) -> list[Array]:
    """Return those of boxes (4,) that are mostly inside an image of this width and height."""
    image = np.array([0.0, 0.0, *size], np.float32)
    return [
        box
        for box in boxes
        if intersection_area(box, image) > _MIN_INSIDE * float(np.prod(box[2:] - box[:2]))
    ]
