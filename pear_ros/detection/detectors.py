# SPDX-License-Identifier: Apache-2.0
"""Detectors: boxes in which people may be who are not tracked yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from pear_ros.core.device_image import DeviceImage
from pear_ros.core.estimator import Detection
from pear_ros.core.log import get_logger
from pear_ros.core.parameters import Parameters
from pear_ros.core.people import Array, Image
from pear_ros.detection.blazepose_detector import BlazePoseDetector
from pear_ros.detection.nanodet_detector import NanoDetDetector
from pear_ros.io.downloads import AssetError

logger = get_logger(__name__)


class Detector(Protocol):
    """Detects people in the images of one video; not thread-safe."""

    def __call__(
        self, image: Image, tracked: int, coasting: Sequence[Array], stamp: float
    ) -> list[Detection]:
        """Return people in the image (height, width, 3) uint8 BGR; tracked ones may be missing.

        `tracked`: number of tracks; `coasting`: boxes (4,) x0 y0 x1 y1, pixels, predicted for the
        tracks that were not measured in the image before; `stamp`: of the image, seconds. The image
        may be a pear_ros.core.device_image.DeviceImage if the detector says that it takes them.
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


class _Stateless:
    """Base of detectors without state and threads, which read no pixels."""

    takes_device_images = True

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

    def __call__(
        self, image: Image | DeviceImage, tracked: int, coasting: Sequence[Array], stamp: float
    ) -> list[Detection]:
        """Return no detection."""
        return []


class FullFrame(_Stateless):
    """Proposes the whole image as the box of one person: for images of one person."""

    def __call__(
        self, image: Image | DeviceImage, tracked: int, coasting: Sequence[Array], stamp: float
    ) -> list[Detection]:
        """Return one box of the size of the image, and none while a person is tracked."""
        height, width = image.shape[:2]
        return [] if tracked else [Detection(np.array([0, 0, width, height], np.float32))]


def make_detector(
    name: str = Parameters.detector, min_score: float = Parameters.min_detection_score
) -> Detector:
    """Return a new detector; `name`: one of DETECTORS in pear_ros.core.parameters.

    `min_score`: least score of a person, 0 to 1, for the built-in detector. Where its file is
    missing or damaged, BlazePose's detector takes its place, with a warning. Raises
    pear_ros.io.downloads.AssetError when that one is needed, but has not been downloaded.
    """
    if name == "built_in":
        try:
            return NanoDetDetector(min_score)
        except AssetError as error:
            logger.warning("%s; until then BlazePose detects people, and misses many", error)
    if name in ("built_in", "blazepose"):
        return BlazePoseDetector()
    return FullFrame() if name == "full_frame" else NoDetector()
