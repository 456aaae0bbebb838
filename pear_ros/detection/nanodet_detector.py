# SPDX-License-Identifier: Apache-2.0
"""The built-in detector: NanoDet on a video, in the background."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pear_ros.core.estimator import Detection
from pear_ros.core.people import Array, Image
from pear_ros.detection.background_search import BackgroundSearch
from pear_ros.detection.nanodet import NanoDet

SEARCH_INTERVAL = 0.1
"""Seconds from one search to the next while nobody is tracked, or a track was not measured."""
TRACKING_INTERVAL = 0.2
"""Seconds from one search to the next while all tracks were measured in the last image."""
MAX_DELAY = 0.08
"""Seconds between two images up to which detections are returned with the next image. In images
that are further apart, detections of the last one would be of no use."""

_TOLERANCE = 0.005
"""Seconds by which an image may come before a search is due."""


class NanoDetDetector:
    """NanoDet in the first image, then a few times a second; not thread-safe.

    While people are tracked it runs in a thread of its own, and detections in one image are
    returned with the next. Those of tracked people re-associate them with their tracks.
    """

    def __init__(self) -> None:
        """Load the model.

        Raises pear_ros.io.downloads.AssetError when its file is missing or damaged.
        """
        self._detect = NanoDet()
        self._search = BackgroundSearch()
        self._size: tuple[int, int] | None = None
        """Width and height of the last image, pixels; None: there was none."""
        self._last_stamp = -math.inf
        """Stamp of the last image, seconds."""
        self._last_search = -math.inf
        """Stamp of the image that was searched last, seconds."""

    def __call__(
        self, image: Image, tracked: int, coasting: Sequence[Array], stamp: float
    ) -> list[Detection]:
        """Return people in this image or, while people are tracked, in the image before.

        Arguments as of pear_ros.detection.detectors.Detector.
        """
        found = self._search.finish()
        size, since_last = (image.shape[1], image.shape[0]), stamp - self._last_stamp
        first = size != self._size
        self._size, self._last_stamp = size, stamp
        interval = TRACKING_INTERVAL if tracked and not coasting else SEARCH_INTERVAL
        # Stamps that do not ascend are those of single pictures.
        if not first and 0.0 < stamp - self._last_search < interval - _TOLERANCE:
            return found
        self._last_search = stamp
        if not first and tracked and 0.0 < since_last <= MAX_DELAY:
            self._search.start(self._detect, image)
            return found
        return self._detect(image)

    def reset(self) -> None:
        """Drop the state of all earlier images: the next one is searched at once."""
        self._search.finish()
        self._size, self._last_stamp, self._last_search = None, -math.inf, -math.inf

    def state(self) -> Any:
        """Return size and stamp of the last image, stamp of the last search, its detections."""
        return self._size, self._last_stamp, self._last_search, self._search.state()

    def restore(self, state: Any) -> None:
        """Replace the state by one that `state` returned; the detector owns it from then on."""
        self._size, self._last_stamp, self._last_search, found = state
        self._search.restore(found)

    def close(self) -> None:
        """Stop the thread; the detector cannot be used afterwards."""
        self._search.close()
