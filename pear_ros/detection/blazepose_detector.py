# SPDX-License-Identifier: Apache-2.0
"""BlazePose's detector on a video, in the background: proposals of where people may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pear_ros.core.estimator import Detection
from pear_ros.core.people import Array, Image
from pear_ros.detection.background_search import BackgroundSearch
from pear_ros.detection.blazepose import PersonDetector, window_of_turn
from pear_ros.landmarks.roi import Roi

DETECTION_INTERVAL = 3
"""Images from one search for new people to the next while several people are tracked.

With one or none there is a search in every image, as a processor core is idle.
"""

SEARCH_SIZES = (1.25, 4.0)
"""Sides of the windows around a coasting track, over the longer side of its box, in alternation:
the person may have moved, or only a part may be visible."""


class BlazePoseDetector:
    """BlazePose's detector in windows: all of them in the first image, then a few in each image.

    While people are tracked it runs in a thread of its own, which uses a core that estimators leave
    idle at times; its proposals of one image are returned with the next. Not thread-safe.
    """

    def __init__(self) -> None:
        """Load the model.

        Raises pear_ros.io.downloads.AssetError when it has not been downloaded.
        """
        self._detector = PersonDetector()
        self._search = BackgroundSearch()
        self._size: tuple[int, int] | None = None
        self._turn = 0
        """Turn of the rotation of windows for new people."""
        self._images_since_search = 0

    def __call__(
        self, image: Image, tracked: int, coasting: Sequence[Array], stamp: float
    ) -> list[Detection]:
        """Return proposals: of this image or, while people are tracked, of the image before.

        Arguments as of pear_ros.detection.detectors.Detector.
        """
        found = self._search.finish() or []
        size = image.shape[1], image.shape[0]
        if size != self._size:
            self._size = size
            self._turn = 0
            return self._detect(image, self._detector.windows(*size))
        if windows := self._windows(size, tracked, coasting):
            if not tracked:
                return self._detect(image, windows)
            self._search.start(self._detect, image, windows)
        return found

    def reset(self) -> None:
        """Drop the state of all earlier images: the next one is searched all over."""
        self._search.drop()
        self._size, self._turn, self._images_since_search = None, 0, 0

    def state(self) -> Any:
        """Return image size, turn, images since the last search, and its proposals."""
        return self._size, self._turn, self._images_since_search, self._search.state()

    def restore(self, state: Any) -> None:
        """Replace the state by one that `state` returned; the detector owns it from then on."""
        self._size, self._turn, self._images_since_search, found = state
        self._search.restore(found)

    def close(self) -> None:
        """Stop the thread; the detector cannot be used afterwards."""
        self._search.close()

    def _detect(self, image: Image, windows: Sequence[Roi]) -> list[Detection]:
        return [Detection(proposal.box) for proposal in self._detector.detect(image, windows)]

    def _windows(self, size: tuple[int, int], tracked: int, coasting: Sequence[Array]) -> list[Roi]:
        """Return a window for new people when it is due, else windows around coasting tracks."""
        self._images_since_search += 1
        if self._images_since_search >= (DETECTION_INTERVAL if tracked > 1 else 1):
            self._images_since_search = 0
            self._turn += 1
            return [window_of_turn(self._detector.windows(*size), self._turn - 1)]
        side = SEARCH_SIZES[self._images_since_search % len(SEARCH_SIZES)]
        return [Roi.from_box(box, side) for box in coasting]
