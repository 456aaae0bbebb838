# SPDX-License-Identifier: Apache-2.0
"""Body landmarks of one person: BlazePose GHUM (Bazarevsky et al., 2020)."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pear_ros.core.people import Array, Image
from pear_ros.io.downloads import landmark_model
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.tflite_model import TfliteModel, pruned, sigmoid
from pear_ros.landmarks.topology import NUM_POSE, Pose
from pear_ros.landmarks.types import PoseLandmarks

PoseVariant = Literal["full", "heavy"]
"""Sizes of the network: heavy is more accurate than full and takes six times as long."""

ROI_SCALE = 1.25
"""Side of the region over the diameter of the circle around the body, as in training."""

MIN_SCORE = 0.5
"""Least score of the pose model for a new person."""
MIN_SCORE_KNOWN = 0.25
"""Least score of the pose model for a person who was there in the image before.

Half a body at the image's edge is tracked well, although its score is low.
"""
MIN_PRESENCE = 0.25
"""Least mean presence of the body's landmarks; below, hardly any of the person is in the image.

A face alone has 11 of the 33 landmarks.
"""
MIN_PRESENCE_VOUCHED = 0.1
"""The same for a person whom a detector found in an earlier image: a part of a face is enough."""

_PERSON_WIDTH = 0.4
"""Width of a person's box over its length."""
VISIBLE_MARGIN = 0.08
"""From the landmarks to the edge of the person, over the longer side of the landmarks' box."""

_NUM_RAW = 39
"""Landmarks that the network predicts: the body's, hip centre and top of the circle, 4 unused."""
_HEATMAP_RADIUS = 3
"""Cells around a landmark over which its heatmap is averaged."""
_HEATMAP_MIN_CONFIDENCE = 0.5
"""Least peak of the heatmap for the landmark to be refined."""


def roi_from_box(box: Array) -> Roi:
    """Return the region of interest of a person in a box (4,) x0 y0 x1 y1, pixels."""
    return Roi.from_box(box, ROI_SCALE)


def person_box(roi: Roi) -> Array:
    """Return the box (4,) x0 y0 x1 y1, pixels, roughly around the person in a region."""
    length = roi.size / ROI_SCALE
    half = np.abs(roi.rotation()) @ np.array([_PERSON_WIDTH * length, length]) / 2.0
    centre = np.array([roi.x, roi.y])
    return np.asarray(np.concatenate([centre - half, centre + half]), np.float32)


def visible_box(pose: PoseLandmarks) -> Array:
    """Return the box (4,) x0 y0 x1 y1 around a person's visible part, or all if none is visible."""
    visible = pose.image[pose.presence > 0.5, :2]
    if not len(visible):
        return person_box(pose.roi)
    low, high = visible.min(axis=0), visible.max(axis=0)
    margin = VISIBLE_MARGIN * float((high - low).max())
    return np.asarray(np.concatenate([low - margin, high + margin]), np.float32)


def sufficiently_visible(pose: PoseLandmarks) -> bool:
    """Return whether the head or half of the body is in the image, as a new person needs."""
    return bool(max(pose.presence[Pose.NOSE], pose.presence.mean()) >= 0.5)


class PoseModel:
    """Detects the landmarks of the person in the middle of a region; not thread-safe."""

    def __init__(self, num_threads: int = 1, variant: PoseVariant = "full") -> None:
        """Load the model. Raises pear_ros.io.downloads.AssetError when its file is missing."""
        # The third output, a mask of the person, takes a third of the full network's time.
        content = pruned(landmark_model(f"pose_landmark_{variant}"), (0, 1, 3, 4))
        self._model = TfliteModel(content, (0, 1, 2, 3), num_threads=num_threads)
        self._swappable = variant != "heavy"

    def __call__(self, image: Image, roi: Roi) -> PoseLandmarks:
        """Run the network in a region; the score of the result is low where there is no person."""
        pixels = self._model.pixels
        raw, score, heatmaps, world = self._model(roi.crop(image, pixels))
        landmarks = raw.reshape(_NUM_RAW, 5)
        crop = landmarks[:, :3]
        crop[:, :2] = _refined(crop[:, :2], heatmaps[0], pixels)
        points = roi.uncrop(crop, pixels)
        return PoseLandmarks(
            image=points[:NUM_POSE],
            world=roi.unrotate(world.reshape(_NUM_RAW, 3)[:NUM_POSE]),
            visibility=sigmoid(landmarks[:NUM_POSE, 3]),
            presence=sigmoid(landmarks[:NUM_POSE, 4]),
            score=float(score.item()),
            roi=Roi.from_centre_and_top(points[NUM_POSE, :2], points[NUM_POSE + 1, :2], ROI_SCALE),
            swappable=self._swappable,
        )

    def detect(
        self, image: Image, roi: Roi, proposed: bool = False, vouched: bool = False
    ) -> PoseLandmarks | None:
        """Return the landmarks of the person in the region; None: there is no person.

        `proposed`: the region comes from a detector's proposal, not from the landmarks in the image
        before; `vouched`: a detector found the person in an earlier image.
        """
        if proposed:
            # A detector's region is inaccurate, most of all where the image's edge cuts a person.
            roi = self(image, roi).roi
        pose = self(image, roi)
        min_score = MIN_SCORE if proposed else MIN_SCORE_KNOWN
        # Landmarks outside the image do not count, whatever presence the model predicts.
        height, width = image.shape[:2]
        x, y = pose.image[:, 0], pose.image[:, 1]
        inside = (x >= 0.0) & (x < width) & (y >= 0.0) & (y < height)
        min_presence = MIN_PRESENCE_VOUCHED if vouched else MIN_PRESENCE
        seen = pose.score >= min_score and float((pose.presence * inside).mean()) >= min_presence
        return pose if seen else None


def _refined(points: Array, heatmaps: Array, pixels: int) -> Array:
    """Return landmarks (N, 2), each at the centre of mass of its heatmap (H, W, N) around it.

    A landmark keeps its regressed place where its heatmap has no confident peak nearby.
    """
    side = heatmaps.shape[0]
    stride = pixels / side
    cells = (points / stride).astype(np.int64)
    reach = np.arange(-_HEATMAP_RADIUS, _HEATMAP_RADIUS + 1)
    columns = cells[:, 0, np.newaxis, np.newaxis] + reach
    rows = cells[:, 1, np.newaxis, np.newaxis] + reach[:, np.newaxis]
    inside = (columns >= 0) & (columns < side) & (rows >= 0) & (rows < side)
    channel = np.arange(len(points))[:, np.newaxis, np.newaxis]
    logits = heatmaps[np.clip(rows, 0, side - 1), np.clip(columns, 0, side - 1), channel]
    weights = np.where(inside, sigmoid(logits), 0.0)
    total = weights.sum(axis=(1, 2))
    centre_inside = ((cells >= 0) & (cells < side)).all(axis=1)
    confident = centre_inside & (weights.max(axis=(1, 2)) >= _HEATMAP_MIN_CONFIDENCE)
    mass = np.column_stack(
        [(weights * columns).sum(axis=(1, 2)), (weights * rows).sum(axis=(1, 2))]
    )
    centres = stride * mass / np.maximum(total, 1e-9)[:, np.newaxis]
    return np.where(confident[:, np.newaxis], centres, points).astype(np.float32)
