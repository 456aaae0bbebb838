# SPDX-License-Identifier: Apache-2.0
"""Body landmarks of a person whom a detector found: what BlazePose is shown, what is believed.

BlazePose needs a square around the whole body, hidden parts included, and other people in it lead
it astray. So everything outside the detector's box is black, and a body is first taken to be longer
than its box: in a tighter region half a body becomes a whole, squeezed one. The landmarks are
believed where their visible part fills the box. The score of the pose model tells less: dogs,
vases and neighbours get 0.99, only a surface without any structure gets next to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pear_ros.core.boxes import iou_matrix
from pear_ros.core.people import Array, Image
from pear_ros.landmarks.pose import ROI_SCALE, VISIBLE_MARGIN
from pear_ros.landmarks.roi import FramedRoi, Roi
from pear_ros.landmarks.topology import Pose
from pear_ros.landmarks.types import PoseLandmarks

LENGTHS = (1.45, 2.0)
"""Lengths of the body, over the height of its box, that are tried one after the other."""
MIN_AGREEMENT = 0.5
"""Agreement from which on landmarks are believed."""

_MIN_SCORE = 0.1
"""Least score of the pose model: a bare board in place of a person has less."""
_FRAME_MARGIN = 0.1
"""Margin around the box that is not black, over the box's longer side."""
_CENTRE = 0.53
"""Centre of the body below its top, over its length."""
_CROWN = 1.7
"""Top of the head above the eyes, over the distance from mouth to eyes."""
_MIN_PRESENCE = 0.5
_MIN_POINTS = 3
"""Least number of visible landmarks that have a box."""
_ROI_SIZES = (4.0, 10.0)
"""Range of regions: pixels, and multiples of the image's longer side."""

PoseDetection = Callable[[Image, Roi], PoseLandmarks]
"""Detects the landmarks of the person in the middle of a region, as PoseModel does."""


@dataclass(frozen=True)
class ReadPose:
    """The landmarks of a detected person, and how far to believe them."""

    pose: PoseLandmarks
    agreement: float
    """Intersection over union of the detector's box and the visible part of the body, 0 to 1; 0
    where the pose model sees no person at all."""

    @property
    def believed(self) -> bool:
        """Whether the visible part of the body fills the box."""
        return self.agreement >= MIN_AGREEMENT


def roi_of_length(box: Array, length: float) -> Roi:
    """Return the region of a body `length` times as long as its box is high, from the box's top.

    `box` (4,) x0 y0 x1 y1, pixels, around the visible part of the person.
    """
    x0, y0, x1, y1 = (float(edge) for edge in box)
    whole = length * (y1 - y0)
    return Roi((x0 + x1) / 2.0, y0 + _CENTRE * whole, ROI_SCALE * max(whole, x1 - x0, 1.0))


def framed(roi: Roi, box: Array, image: Image) -> FramedRoi:
    """Return the region that is black outside a box (4,) x0 y0 x1 y1, pixels, and its margin."""
    size = np.array(image.shape[1::-1])
    margin = _FRAME_MARGIN * float((box[2:] - box[:2]).max())
    low = np.clip(np.floor(box[:2] - margin), 0, size - 1).astype(int)
    high = np.clip(np.ceil(box[2:] + margin), low + 1, size).astype(int)
    frame = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    return FramedRoi(roi.x, roi.y, roi.size, roi.angle, frame)


def agreement(pose: PoseLandmarks, box: Array, image: Image) -> float:
    """Return the intersection over union of a box (4,), pixels, and the body's visible part.

    The latter is the box around the visible landmarks inside the image and the top of the head; 0
    where there are hardly any.
    """
    size = np.array(image.shape[1::-1], np.float32)
    points = pose.image[:, :2]
    seen = (pose.presence > _MIN_PRESENCE) & (points >= 0.0).all(axis=1)
    seen &= (points < size).all(axis=1)
    if seen.sum() < _MIN_POINTS:
        return 0.0
    shown = points[seen]
    if seen[: Pose.MOUTH_RIGHT + 1].all():
        eyes = points[Pose.LEFT_EYE_INNER : Pose.RIGHT_EYE_OUTER + 1].mean(axis=0)
        mouth = points[[Pose.MOUTH_LEFT, Pose.MOUTH_RIGHT]].mean(axis=0)
        shown = np.vstack([shown, eyes + _CROWN * (eyes - mouth)])
    low, high = shown.min(axis=0), shown.max(axis=0)
    margin = VISIBLE_MARGIN * float((high - low).max())
    low, high = np.maximum(low - margin, 0.0), np.minimum(high + margin, size)
    return float(iou_matrix(np.concatenate([low, high])[None], box[None])[0, 0])


def read_pose(
    image: Image,
    box: Array,
    detect: PoseDetection,
    lengths: Sequence[float] = LENGTHS,
    refine: PoseDetection | None = None,
) -> ReadPose:
    """Return the landmarks of the person in a box (4,), pixels, that fill the box best.

    For each of `lengths`, until landmarks are believed, `detect` looks at the region of a body of
    this length, and at the region that its landmarks give. `refine`, a more accurate model, looks
    once more at the region of the result; its landmarks are taken unless only others are believed.
    """
    best: ReadPose | None = None
    for length in lengths:
        rough = _look(image, box, roi_of_length(box, length), detect)
        read = _look_again(image, box, rough, detect)
        if best is None or read.agreement > best.agreement:
            best = read
        if best.believed:
            break
    assert best is not None
    if refine is None:
        return best
    refined = _look_again(image, box, best, refine)
    return refined if refined.agreement >= min(best.agreement, MIN_AGREEMENT) else best


def follow_pose(image: Image, box: Array, roi: Roi, detect: PoseDetection) -> ReadPose:
    """Return the landmarks of a person known from the image before, in whose `roi` they are.

    `box` (4,), pixels, is the detector's in this image. Where the landmarks do not fill it, as when
    they have moved to a neighbour, one fresh look at the box follows.
    """
    read = _look(image, box, roi, detect)
    if read.believed:
        return read
    fresh = _look(image, box, roi_of_length(box, LENGTHS[0]), detect)
    return max(read, fresh, key=lambda one: one.agreement)


def _look(image: Image, box: Array, roi: Roi, detect: PoseDetection) -> ReadPose:
    pose = detect(image, framed(roi, box, image))
    return ReadPose(pose, agreement(pose, box, image) if pose.score >= _MIN_SCORE else 0.0)


def _look_again(image: Image, box: Array, read: ReadPose, detect: PoseDetection) -> ReadPose:
    """Look at the region that landmarks give; the same landmarks where it is out of all range."""
    if not _ROI_SIZES[0] < read.pose.roi.size < _ROI_SIZES[1] * max(image.shape):
        return read
    return _look(image, box, read.pose.roi, detect)
