# SPDX-License-Identifier: Apache-2.0
"""Detectors: boxes in which people may be who are not tracked yet."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from pear_ros.core.estimator import Detection
from pear_ros.core.people import Array, Image
from pear_ros.detection.blazepose import PersonDetector, Proposal, window_of_turn
from pear_ros.landmarks.roi import Roi

DETECTION_INTERVAL = 3
"""Images from one search for new people to the next while several people are tracked.

With one or none there is a search in every image, as a processor core is idle.
"""

SEARCH_SIZES = (1.25, 4.0)
"""Sides of the windows around a coasting track, over the longer side of its box, in alternation:
the person may have moved, or only a part may be visible."""


class Detector(Protocol):
    """Detects people in the images of one video; not thread-safe."""

    def __call__(self, image: Image, tracked: int, coasting: Sequence[Array]) -> list[Detection]:
        """Return people in the image (height, width, 3) uint8 BGR; tracked ones may be missing.

        `tracked`: number of tracks; `coasting`: boxes (4,) x0 y0 x1 y1, pixels, predicted for the
        tracks that were not measured in the image before.
        """
        ...

    def reset(self) -> None:
        """Drop the state of all earlier images."""
        ...

    def state(self) -> Any:
        """Return the state of earlier images: dataclasses, arrays and numbers."""
        ...

    def restore(self, state: Any) -> None:
        """Replace the state by one that `state` returned; the detector owns it from then on."""
        ...

    def close(self) -> None:
        """Stop the threads; the detector cannot be used afterwards."""
        ...


class BuiltInDetector:
    """BlazePose's detector in windows: all of them in the first image, then a few in each image.

    While people are tracked it runs in a thread of its own, which uses a core that estimators leave
    idle at times; its proposals of one image are returned with the next.
    """

    def __init__(self) -> None:
        """Load the model.

        Raises pear_ros.io.downloads.AssetError when it has not been downloaded.
        """
        self._detector = PersonDetector()
        self._background = ThreadPoolExecutor(1, thread_name_prefix="detector")
        self._search: Future[list[Proposal]] | None = None
        self._size: tuple[int, int] | None = None
        self._turn = 0
        """Turn of the rotation of windows for new people."""
        self._images_since_search = 0

    def __call__(self, image: Image, tracked: int, coasting: Sequence[Array]) -> list[Detection]:
        """Return proposals: of this image or, while people are tracked, of the image before.

        `image` (height, width, 3) uint8 BGR; `tracked`: number of tracks; `coasting`: boxes (4,)
        x0 y0 x1 y1, pixels, of tracks that were not measured in the image before.
        """
        found = self._finish_search()
        size = image.shape[1], image.shape[0]
        if size != self._size:
            self._size = size
            self._turn = 0
            found = self._detector.detect(image, self._detector.windows(*size))
        elif windows := self._windows(size, tracked, coasting):
            if tracked:
                self._search = self._background.submit(self._detector.detect, image, windows)
            else:
                found = self._detector.detect(image, windows)
        return [Detection(proposal.box) for proposal in found]

    def reset(self) -> None:
        """Drop the state of all earlier images: the next one is searched all over."""
        self._finish_search()
        self._size, self._turn, self._images_since_search = None, 0, 0

    def state(self) -> Any:
        """Return image size, turn, images since the last search, and its proposals."""
        found = self._search.result() if self._search else None
        return self._size, self._turn, self._images_since_search, found

    def restore(self, state: Any) -> None:
        """Replace the state by one that `state` returned; the detector owns it from then on."""
        self._finish_search()
        self._size, self._turn, self._images_since_search, found = state
        if found is not None:
            self._search = Future()
            self._search.set_result(found)

    def close(self) -> None:
        """Stop the thread; the detector cannot be used afterwards."""
        self._background.shutdown()

    def _finish_search(self) -> list[Proposal]:
        """Wait for the search in the last image and return its proposals."""
        search, self._search = self._search, None
        return search.result() if search else []

    def _windows(self, size: tuple[int, int], tracked: int, coasting: Sequence[Array]) -> list[Roi]:
        """Return a window for new people when it is due, else windows around coasting tracks."""
        self._images_since_search += 1
        if self._images_since_search >= (DETECTION_INTERVAL if tracked > 1 else 1):
            self._images_since_search = 0
            self._turn += 1
            return [window_of_turn(self._detector.windows(*size), self._turn - 1)]
        side = SEARCH_SIZES[self._images_since_search % len(SEARCH_SIZES)]
        return [Roi.from_box(box, side) for box in coasting]


class _Stateless:
    """Base of detectors without state and threads."""

    def reset(self) -> None:
        """Do nothing: there is no state."""

    def state(self) -> Any:
        """Return None: there is no state."""

    def restore(self, state: Any) -> None:
        """Do nothing: there is no state."""

    def close(self) -> None:
        """Do nothing: there are no threads."""


class NoDetector(_Stateless):
    """Detects no one: for pipelines that get detections with each image."""

    def __call__(self, image: Image, tracked: int, coasting: Sequence[Array]) -> list[Detection]:
        """Return no detection."""
        return []


class FullFrame(_Stateless):
    """Proposes the whole image as the box of one person: for images of one person."""

    def __call__(self, image: Image, tracked: int, coasting: Sequence[Array]) -> list[Detection]:
        """Return one box of the size of the image, and none while a person is tracked."""
        height, width = image.shape[:2]
        return [] if tracked else [Detection(np.array([0, 0, width, height], np.float32))]


def make_detector(name: str) -> Detector:
    """Return a new detector; `name`: one of DETECTORS in pear_ros.core.parameters.

    Raises pear_ros.io.downloads.AssetError when a model has not been downloaded.
    """
    if name == "built_in":
        return BuiltInDetector()
    return FullFrame() if name == "full_frame" else NoDetector()
