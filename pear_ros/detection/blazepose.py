# SPDX-License-Identifier: Apache-2.0
"""Person proposals: BlazePose's detector (Bazarevsky et al., 2020) on overlapping square windows.

The network detects one prominent person in a small square. Several people, and people who fill
little of the image, are detected by a sliding window of several sizes: all windows of a single
image, one or a few in each image of a video. The results are proposals: whether there is a person
is decided by the score of the pose model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pear_ros.core.boxes import distinct, intersection_area, same_person_matrix
from pear_ros.core.people import Array, Image
from pear_ros.io.downloads import landmark_model
from pear_ros.landmarks.pose import ROI_SCALE, person_box
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.tflite_model import TfliteModel, sigmoid

MIN_WINDOW = 160.0
"""Least side of a window, pixels: people in smaller ones are too small for landmarks."""

_STEP = 0.5
"""Step from one window to the next, over the side."""
_OVERHANG = 0.4
"""How far large windows reach beyond the image's left and right edge, over the side.

People whom the edge cuts lengthwise are detected only in the middle of a window.
"""

_LONGEST = 8.0
"""Ratio of the sides of an image up to which windows become smaller with the shorter side."""

_LARGE_TURNS = 3
"""Large windows in the rotation between two small ones."""

_NUM_KEYPOINTS = 4
"""Hip centre and top of the circle around the body; shoulder centre and top of that circle."""


@dataclass(frozen=True)
class Proposal:
    """A person proposed by the detector, who may be none."""

    box: Array
    """(4,) x0 y0 x1 y1 pixels, roughly the whole body; reaches outside the image where it does."""
    score: float
    """Confidence, 0 to 1; lowered for a person cut off by the window."""
    roi: Roi
    """Region of interest for the pose model."""


class PersonDetector:
    """Proposes people in windows of an image; not thread-safe."""

    def __init__(self, num_threads: int = 1, min_score: float = 0.6) -> None:
        """Load the model; `min_score`: least confidence of a proposal.

        Raises pear_ros.io.downloads.AssetError when the model's file is missing.
        """
        content = landmark_model("pose_detection").read_bytes()
        self._model = TfliteModel(content, (0, 1), (-1.0, 1.0), num_threads)
        self._anchors = _anchors(self._model.pixels)
        self._min_score = min_score

    @staticmethod
    def windows(width: int, height: int) -> list[Roi]:
        """Return windows that cover an image of this size, pixels; large windows first.

        Together they detect people from about 15 % of the shorter side up. Sides: the image's
        longer side, its shorter side, half of that; neighbours overlap by half. Of an image that
        is longer than _LONGEST times its width, sides are those of one that is not: there are never
        more than some dozens of windows.
        """
        long = float(max(width, height))
        short = max(float(min(width, height)), long / _LONGEST)
        levels = {long: _OVERHANG, short: _OVERHANG}
        if short / 2.0 >= MIN_WINDOW:
            levels[short / 2.0] = 0.0
        return [
            Roi(x, y, side)
            for side, overhang in levels.items()
            for y in _centres(height, side, 0.0)
            for x in _centres(width, side, overhang)
        ]

    def detect(self, image: Image, windows: Sequence[Roi]) -> list[Proposal]:
        """Return the people in the windows, each once, in descending order of score."""
        height, width = image.shape[:2]
        found = [
            proposal
            for window in windows
            for proposal in self._in_window(image, window, np.array([0, 0, width, height]))
        ]
        return _distinct(found)

    def _in_window(self, image: Image, window: Roi, frame: Array) -> list[Proposal]:
        crop = window.crop(image, self._model.pixels, cv2.BORDER_CONSTANT)
        raw, logits = self._model(crop)
        scores = sigmoid(logits[0, :, 0])
        best = np.flatnonzero(scores > self._min_score)
        offsets = raw[0, best, -2 * _NUM_KEYPOINTS :].reshape(-1, _NUM_KEYPOINTS, 2)
        keypoints = offsets + self._anchors[best, np.newaxis]
        half = window.size / 2.0
        inside = np.array([window.x - half, window.y - half, window.x + half, window.y + half])
        found = []
        for points, score in zip(keypoints, scores[best], strict=True):
            hips, top = window.uncrop(points[:2], self._model.pixels)
            roi = Roi.from_centre_and_top(hips, top, ROI_SCALE)
            box = person_box(roi)
            in_image = max(intersection_area(box, frame), 1.0)
            seen = min(intersection_area(box, inside) / in_image, 1.0)
            found.append(Proposal(box, float(score) * seen, roi))
        return _distinct([proposal for proposal in found if proposal.score > self._min_score])


def window_of_turn(windows: Sequence[Roi], turn: int) -> Roi:
    """Return the window for turn 0, 1, 2, ... of the rotation in a video: three large, one small.

    There are many small windows (half the shorter side): large people are thus detected soon, small
    ones later.
    """
    largest = max(window.size for window in windows)
    smallest = min(window.size for window in windows)
    small = [window for window in windows if window.size == smallest < largest]
    large = [window for window in windows if window not in small]
    if not small:
        return large[turn % len(large)]
    rounds, place = divmod(turn, _LARGE_TURNS + 1)
    if place == _LARGE_TURNS:
        return small[rounds % len(small)]
    return large[(rounds * _LARGE_TURNS + place) % len(large)]


def _centres(extent: float, side: float, overhang: float) -> list[float]:
    """Return the centres of windows along one axis of the image, pixels."""
    first = side * (0.5 - overhang)
    last = extent - first
    if last <= first:
        return [extent / 2.0]
    count = math.ceil((last - first) / (side * _STEP) - 1e-6) + 1
    return [float(centre) for centre in np.linspace(first, last, count)]


def _anchors(pixels: int) -> Array:
    """Return the anchors (N, 2) of the network's outputs (SSD), pixels of the crop.

    Two for each cell of the grids of strides 8 and 16, six at stride 32.
    """
    grids = []
    for stride, rows in ((8, 2), (16, 2), (32, 6)):
        centres = np.arange(stride / 2.0, pixels, stride, dtype=np.float32)
        x, y = np.meshgrid(centres, centres)
        grids.append(np.repeat(np.column_stack([x.ravel(), y.ravel()]), rows, axis=0))
    return np.concatenate(grids)


def _distinct(proposals: Sequence[Proposal]) -> list[Proposal]:
    """Return the best proposal of each person (greedy non-maximum suppression)."""
    ordered = sorted(proposals, key=lambda one: one.score, reverse=True)
    boxes = np.array([one.box for one in ordered], np.float32).reshape(-1, 4)
    return [ordered[index] for index in distinct(same_person_matrix(boxes, boxes))]
