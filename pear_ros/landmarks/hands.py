# SPDX-License-Identifier: Apache-2.0
"""Hand landmarks: MediaPipe Hands (Zhang et al., 2020) in regions from the body's landmarks."""

from __future__ import annotations

import math

import numpy as np

from pear_ros.core.people import Array, Image
from pear_ros.io.downloads import landmark_model
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.tflite_model import TfliteModel
from pear_ros.landmarks.topology import NUM_HAND, Hand, Pose
from pear_ros.landmarks.types import HandLandmarks, PoseLandmarks

MIN_SCORE = 0.5
"""Least score of the hand model."""
MIN_VISIBILITY = 0.4
"""Least visibility of the body's wrist for the hand to be detected."""
MIN_ROI = 48.0
"""Least side of the region from the body's landmarks, pixels.

The hand is then about 15 long and a finger 2 wide; landmarks of fingers are off by 7 % of the
hand's length (measured on images of standing people, scaled down).
"""
MIN_SIDE = 0.2
"""Least probability of the wanted side: the region of a hidden hand often holds the other hand."""

LITE_BELOW = 130.0
"""Side of the region, pixels, below which the network of half the size is as accurate."""

_ROI_SCALE_FROM_POSE = 2.7
_ROI_SCALE_FROM_HAND = 2.0
_HAND_OVER_POSE = 0.6
"""Size of the second region over the first, on average."""
_SHIFT = -0.1
"""Shift of the region towards the fingers, over its side."""
_Z_SCALE = 2.5
"""Factor of the network's z, which is compressed."""
_PALM = [
    *(Hand.WRIST, Hand.THUMB_CMC, Hand.THUMB_MCP, Hand.THUMB_IP, Hand.INDEX_MCP, Hand.INDEX_PIP),
    *(Hand.MIDDLE_MCP, Hand.MIDDLE_PIP, Hand.RING_MCP, Hand.RING_PIP),
    *(Hand.PINKY_MCP, Hand.PINKY_PIP),
]
"""Landmarks that do not move with the fingers."""


class HandModel:
    """Detects the landmarks of one hand of a person; not thread-safe."""

    def __init__(self, num_threads: int = 1) -> None:
        """Load the models. Raises pear_ros.io.downloads.AssetError when a file is missing."""
        recrop = landmark_model("hand_recrop").read_bytes()
        full = landmark_model("hand_landmark_full").read_bytes()
        lite = landmark_model("hand_landmark_lite").read_bytes()
        self._recrop = TfliteModel(recrop, (0,), num_threads=num_threads)
        self._full = TfliteModel(full, (0, 1, 2, 3), num_threads=num_threads)
        self._lite = TfliteModel(lite, (0, 1, 2, 3), num_threads=num_threads)

    def __call__(
        self, image: Image, pose: PoseLandmarks, side: str, previous: HandLandmarks | None
    ) -> HandLandmarks | None:
        """Return the landmarks of the "LEFT" or "RIGHT" hand; None: hidden, too small or not found.

        The region comes from `previous`, the landmarks in the image before, where it agrees with
        the body's landmarks, else from these.
        """
        rough = roi_from_pose(pose, side)
        if rough is None:
            return None
        if previous is not None and _agree(previous.roi, rough):
            return self._in_region(image, previous.roi, side)
        hand = self._in_region(image, self._recropped(image, rough), side)
        # The re-crop network loses hands in unusual poses.
        return hand or self._in_region(image, rough.scaled(_HAND_OVER_POSE), side, self._full)

    def _in_region(
        self, image: Image, roi: Roi, side: str, model: TfliteModel | None = None
    ) -> HandLandmarks | None:
        """Return the landmarks of the hand in a region, by `model` or the one for its size."""
        model = model or (self._lite if roi.size < LITE_BELOW else self._full)
        pixels = model.pixels
        raw, score, right, world = model(roi.crop(image, pixels))
        of_side = right.item() if side == "RIGHT" else 1.0 - right.item()
        if score.item() < MIN_SCORE or of_side < MIN_SIDE:
            return None
        crop = raw.reshape(NUM_HAND, 3) * np.array([1.0, 1.0, _Z_SCALE], np.float32)
        points = roi.uncrop(crop, pixels)
        return HandLandmarks(
            image=points,
            world=roi.unrotate(world.reshape(NUM_HAND, 3)),
            score=float(score.item()),
            roi=roi_from_hand(points),
        )

    def _recropped(self, image: Image, roi: Roi) -> Roi:
        """Return the region that the re-crop network predicts in a rough one."""
        pixels = self._recrop.pixels
        (points,) = self._recrop(roi.crop(image, pixels))
        centre, bottom = roi.uncrop(points.reshape(2, 2), pixels)
        return Roi.from_centre_and_top(centre, 2.0 * centre - bottom).shifted(0.0, _SHIFT)


def roi_from_pose(pose: PoseLandmarks, side: str) -> Roi | None:
    """Return a rough region from the body's wrist and knuckles; None: hidden or too small."""
    wrist = Pose[f"{side}_WRIST"]
    if pose.visibility[wrist] < MIN_VISIBILITY:
        return None
    index, pinky = Pose[f"{side}_INDEX"], Pose[f"{side}_PINKY"]
    points = pose.image[:, :2]
    centre = (2.0 * points[index] + points[pinky]) / 3.0
    tight = Roi.from_centre_and_top(centre, 2.0 * centre - points[wrist])
    roi = tight.shifted(0.0, _SHIFT).scaled(_ROI_SCALE_FROM_POSE)
    return roi if roi.size >= MIN_ROI else None


def roi_from_hand(points: Array) -> Roi:
    """Return the region, fingers up, of a hand with landmarks (21, 2 or more), pixels."""
    flat = points[:, :2]
    knuckles = flat[[Hand.INDEX_MCP, Hand.MIDDLE_MCP, Hand.MIDDLE_MCP, Hand.RING_MCP]].mean(axis=0)
    dx, dy = knuckles - flat[Hand.WRIST]
    tight = Roi.around(flat[_PALM], math.atan2(dx, -dy))
    return tight.shifted(0.0, _SHIFT).scaled(_ROI_SCALE_FROM_HAND)


def _agree(previous: Roi, rough: Roi) -> bool:
    """Return whether the region of the previous image agrees with the rough one in this image.

    Within 40 degrees, 20 % of the size in place and 40 % in size.
    """
    size = _HAND_OVER_POSE * rough.size
    turn = (previous.angle - rough.angle + math.pi) % (2.0 * math.pi) - math.pi
    return (
        abs(turn) < math.radians(40.0)
        and math.hypot(previous.x - rough.x, previous.y - rough.y) < 0.2 * size
        and abs(previous.size - size) < 0.4 * size
    )
