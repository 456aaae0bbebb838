# SPDX-License-Identifier: Apache-2.0
"""Who is in the image: where people may be whom nobody follows yet."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from pear_ros.core.estimator import Detection
from pear_ros.core.people import Array, Image
from pear_ros.detection.blazepose import PersonDetector, Proposal, swept
from pear_ros.landmarks.roi import Roi

DETECTION_INTERVAL = 3
"""While several people are followed, newcomers are looked for in every third image only; with one
or none, in every image, as there is a core to spare."""

SEARCH = (1.25, 4.0)
"""Sides of windows in which somebody is looked for who went missing, over that of their box: in one
image they may have moved, in the next they may be seen in part only."""


class Detector(Protocol):
    """Looks for people in the images of one video; not thread-safe."""

    def __call__(self, image: Image, followed: int, missing: Sequence[Array]) -> list[Detection]:
        """People in the image, those who are followed among them or not.

        `followed`: how many are; `missing`: boxes (4,) where some of them were last seen.
        """
        ...

    def reset(self) -> None:
        """The next image has nothing to do with the last."""
        ...

    def state(self) -> Any:
        """What is remembered of earlier images; see pear_ros.core.state."""
        ...

    def restore(self, state: Any) -> None:
        """Remember this instead."""
        ...

    def close(self) -> None:
        """Ends its threads; nothing may be asked of it afterwards."""
        ...


class BuiltInDetector:
    """BlazePose's detector in windows: all over the first image, then in a few of each image.

    From the second image on it works beside whoever asked, and what it finds in one image is told
    with the next: it takes a core that estimators leave idle at times.
    """

    def __init__(self) -> None:
        """Raises pear_ros.io.downloads.AssetError when the model has not been downloaded."""
        self._detector = PersonDetector()
        self._background = ThreadPoolExecutor(1, thread_name_prefix="detector")
        self._searching: Future[list[Proposal]] | None = None
        self._size: tuple[int, int] | None = None
        self._turn = 0
        """Of the sweep for newcomers."""
        self._images_since_search = 0

    def __call__(self, image: Image, followed: int, missing: Sequence[Array]) -> list[Detection]:
        """See Detector."""
        found = self._found_meanwhile()
        size = image.shape[1], image.shape[0]
        if size != self._size:
            self._size = size
            self._turn = 0
            found = self._detector.detect(image, self._detector.windows(*size))
        elif windows := self._windows(size, followed, missing):
            if followed:
                self._searching = self._background.submit(self._detector.detect, image, windows)
            else:
                found = self._detector.detect(image, windows)
        return [Detection(proposal.box) for proposal in found]

    def reset(self) -> None:
        """See Detector."""
        self._found_meanwhile()
        self._size, self._turn, self._images_since_search = None, 0, 0

    def state(self) -> Any:
        """See Detector."""
        found = self._searching.result() if self._searching else None
        return self._size, self._turn, self._images_since_search, found

    def restore(self, state: Any) -> None:
        """See Detector."""
        self._found_meanwhile()
        self._size, self._turn, self._images_since_search, found = state
        if found is not None:
            self._searching = Future()
            self._searching.set_result(found)

    def close(self) -> None:
        """See Detector."""
        self._background.shutdown()

    def _found_meanwhile(self) -> list[Proposal]:
        """What the search beside the last image found, once it is over."""
        searching, self._searching = self._searching, None
        return searching.result() if searching else []

    def _windows(self, size: tuple[int, int], followed: int, missing: Sequence[Array]) -> list[Roi]:
        """Around those who went missing and, now and then, one for newcomers."""
        self._images_since_search += 1
        if self._images_since_search >= (DETECTION_INTERVAL if followed > 1 else 1):
            self._images_since_search = 0
            self._turn += 1
            return [swept(self._detector.windows(*size), self._turn - 1)]
        side = SEARCH[self._images_since_search % len(SEARCH)]
        return [Roi.from_box(box, side) for box in missing]


class _Forgetful:
    """Remembers nothing, holds nothing."""

    def reset(self) -> None:
        """See Detector."""

    def state(self) -> Any:
        """See Detector."""

    def restore(self, state: Any) -> None:
        """See Detector."""

    def close(self) -> None:
        """See Detector."""


class NoDetector(_Forgetful):
    """Finds nobody: for those who tell with each image who is in it."""

    def __call__(self, image: Image, followed: int, missing: Sequence[Array]) -> list[Detection]:
        """See Detector."""
        return []


class FullFrame(_Forgetful):
    """Takes the whole image for one person's box: where nobody else can be in the picture."""

    def __call__(self, image: Image, followed: int, missing: Sequence[Array]) -> list[Detection]:
        """See Detector."""
        height, width = image.shape[:2]
        return [] if followed else [Detection(np.array([0, 0, width, height], np.float32))]


def make_detector(name: str) -> Detector:
    """The detector of this name, one of pear_ros.core.parameters.DETECTORS.

    Raises pear_ros.io.downloads.AssetError when a model has not been downloaded.
    """
    if name == "built_in":
        return BuiltInDetector()
    return FullFrame() if name == "full_frame" else NoDetector()
