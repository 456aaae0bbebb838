# SPDX-License-Identifier: Apache-2.0
"""Mask of one person: the segmentation output of BlazePose GHUM (Bazarevsky et al., 2020)."""

from __future__ import annotations

import cv2
import numpy as np

from pear_ros.core.people import Array, Image
from pear_ros.io.downloads import landmark_model
from pear_ros.landmarks.pose import PoseVariant
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.tflite_model import TfliteModel, pruned, sigmoid

_MASK_OUTPUT = 2
"""Position of the mask among the outputs of the network."""


class PersonMaskModel:
    """Segments the person in the middle of a region; not thread-safe."""

    def __init__(self, num_threads: int = 1, variant: PoseVariant = "full") -> None:
        """Load the model. Raises pear_ros.io.downloads.AssetError when its file is missing."""
        content = pruned(landmark_model(f"pose_landmark_{variant}"), (_MASK_OUTPUT,))
        self._model = TfliteModel(content, (0,), num_threads=num_threads)

    def __call__(self, image: Image, roi: Roi) -> Array:
        """Return the probability (N, N) that a pixel of the region shows the person, 0 to 1.

        `image` (height, width, 3) uint8 BGR; N: pixels along a side of the network's input.
        """
        (logits,) = self._model(roi.crop(image, self._model.pixels))
        return np.asarray(sigmoid(logits[0, ..., 0]), np.float32)


def warped(mask: Array, roi: Roi, to_image: Array, pixels: int) -> Array:
    """Return the mask (N, N) of a region as a mask (pixels, pixels) of another crop.

    `to_image` (2, 3): matrix from pixels of that crop to those of the image. 0 outside the region.
    """
    from_region = np.vstack([roi.affine(len(mask)), [0.0, 0.0, 1.0]])
    to_region = np.linalg.inv(from_region) @ np.vstack([to_image, [0.0, 0.0, 1.0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (pixels, pixels)
    return np.asarray(cv2.warpAffine(mask, to_region[:2], size, flags=flags), np.float32)
