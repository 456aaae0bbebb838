# SPDX-License-Identifier: Apache-2.0
"""Body landmarks of a person whom a detector found: what BlazePose is shown, what is believed.

BlazePose needs a square around the whole body, hidden parts included, and other people in it lead
it astray. So everything outside the detector's box is black, and a body is first taken to be longer
than its box: in a tighter region half a body becomes a whole, squeezed one. The landmarks are
believed where their visible part fills the box. The score of the pose model tells less: dogs,
vases and neighbours get 0.99, only a surface without any structure gets next to nothing.

In a video a box may be an image old and show only a part of a person who moves fast. So landmarks
that follow a person from image to image are believed unless they are clearly elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pear_ros.core.boxes import iou_matrix, same_person
from pear_ros.core.people import Array, Image
from pear_ros.landmarks.pose import (
    MIN_SCORE_KNOWN,
    ROI_SCALE,
    VISIBLE_MARGIN,
    visible_box,
)
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
FOLLOWING_MARGIN = 0.25
"""The same around a person who is followed: limbs move from image to image."""
_CLEARLY_BETTER = 0.2
"""Agreement by which landmarks of a fresh look exceed those that followed a person, to be taken."""
MAX_DISAGREEMENTS = 2
"""Successive detections elsewhere in spite of which landmarks that follow a person are believed."""
_CENTRE = 0.53
"""Centre of the body below its top, over its length."""
_CROWN = 1.7
"""Top of the head above the eyes, over the distance from mouth to eyes."""
_SQUEEZED = 0.6
"""Size of the body over that of the head, 1 for a grown-up, below which the body is squeezed."""
_BODY_LENGTH = 1.75
"""Length of a body with a head of that size, metres."""
_MAX_LENGTH = 8.0
"""Greatest length of a body over the height of its box: the box shows a face."""
_MIN_PRESENCE = 0.5
_MIN_POINTS = 3
"""Least number of visible landmarks that have a box."""
_SHOULDERS = [Pose.LEFT_SHOULDER, Pose.RIGHT_SHOULDER]
_HIPS = [Pose.LEFT_HIP, Pose.RIGHT_HIP]
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

    disagreements: int = 0
    """Successive detections, this one included, that were elsewhere than the landmarks."""

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


def framed(roi: Roi, box: Array, image: Image, margin: float = _FRAME_MARGIN) -> FramedRoi:
    """Return the region that is black outside a box (4,) x0 y0 x1 y1, pixels, and its margin.

    `margin`: over the box's longer side.
    """
    size = np.array(image.shape[1::-1])
    pixels = margin * float((box[2:] - box[:2]).max())
    low = np.clip(np.floor(box[:2] - pixels), 0, size - 1).astype(int)
    high = np.clip(np.ceil(box[2:] + pixels), low + 1, size).astype(int)
    frame = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    return FramedRoi(roi.x, roi.y, roi.size, roi.angle, frame)


def agreement(pose: PoseLandmarks, box: Array, image: Image) -> float:
    """Return the intersection over union of a box (4,), pixels, and the body's visible part.

    The latter is the box around the visible landmarks inside the image, the top of the head, and
    the trunk up to the image's edge; 0 where there are hardly any.
    """
    shown = _shown_box(pose, image)
    return 0.0 if shown is None else float(iou_matrix(shown[None], box[None])[0, 0])


def head_scale(pose: PoseLandmarks) -> float:
    """Return the pixels that a metre at the head is long, by the landmarks of the face.

    The greatest of what eyes and mouth, the eyes' outer corners, and the ears say, each of which
    foreshortens in other directions.
    """
    points = pose.image[:, :2]
    eyes = points[[Pose.LEFT_EYE, Pose.RIGHT_EYE]].mean(axis=0)
    mouth = points[[Pose.MOUTH_LEFT, Pose.MOUTH_RIGHT]].mean(axis=0)
    lengths = (
        np.linalg.norm(eyes - mouth) / 0.063,
        np.linalg.norm(points[Pose.LEFT_EYE_OUTER] - points[Pose.RIGHT_EYE_OUTER]) / 0.084,
        np.linalg.norm(points[Pose.LEFT_EAR] - points[Pose.RIGHT_EAR]) / 0.12,
    )
    return float(max(lengths))


def squeezed(pose: PoseLandmarks) -> bool:
    """Return whether the landmarks show a body that is too small for its head.

    They do where the region shows a head or an upper body and the model takes it for the whole.
    """
    points = pose.image[:, :2]
    left, right = points[_SHOULDERS]
    trunk = (left + right) / 2.0 - points[_HIPS].mean(axis=0)
    scale = max(np.linalg.norm(left - right) / 0.36, np.linalg.norm(trunk) / 0.5)
    return bool(scale < _SQUEEZED * head_scale(pose))


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
    best = _stretched(image, box, best, detect)
    if refine is None:
        return best
    refined = _look_again(image, box, best, refine)
    worse = squeezed(refined.pose) and not squeezed(best.pose)
    return (
        refined if refined.agreement >= min(best.agreement, MIN_AGREEMENT) and not worse else best
    )


def follow_pose(
    image: Image, box: Array, known: PoseLandmarks, detect: PoseDetection, disagreements: int = 0
) -> ReadPose | None:
    """Return the landmarks of a person whose landmarks in the image before are `known`.

    `box` (4,), pixels, is the detector's; it may be an image old, or of a part of the person. The
    landmarks are believed where it overlaps their visible part. Elsewhere, as when they have moved
    to a neighbour, a fresh look at the box follows, whose landmarks are taken where they fill it.
    Landmarks elsewhere are kept for MAX_DISAGREEMENTS successive detections; `disagreements`: those
    so far. None: no landmarks are believed.
    """
    before = visible_box(known)
    both = np.concatenate([np.minimum(before[:2], box[:2]), np.maximum(before[2:], box[2:])])
    pose = detect(image, framed(known.roi, both, image, FOLLOWING_MARGIN))
    shown = _shown_box(pose, image) if pose.score >= MIN_SCORE_KNOWN else None
    followed = ReadPose(pose, agreement(pose, box, image)) if shown is not None else None
    if followed and shown is not None and same_person(shown, box):
        return _stretched(image, box, followed, detect)
    fresh = _look(image, box, roi_of_length(box, LENGTHS[0]), detect)
    if fresh.believed and (
        followed is None or fresh.agreement > followed.agreement + _CLEARLY_BETTER
    ):
        return fresh
    if followed is None or disagreements >= MAX_DISAGREEMENTS:
        return None
    return replace(followed, disagreements=disagreements + 1)


def _shown_box(pose: PoseLandmarks, image: Image) -> Array | None:
    """Return the box (4,) of the visible landmarks inside the image and the top of the head.

    None where there are hardly any.
    """
    size = np.array(image.shape[1::-1], np.float32)
    points = pose.image[:, :2]
    seen = (pose.presence > _MIN_PRESENCE) & (points >= 0.0).all(axis=1)
    seen &= (points < size).all(axis=1)
    if seen.sum() < _MIN_POINTS:
        return None
    shown = points[seen]
    if seen[: Pose.MOUTH_RIGHT + 1].all():
        eyes = points[Pose.LEFT_EYE_INNER : Pose.RIGHT_EYE_OUTER + 1].mean(axis=0)
        mouth = points[[Pose.MOUTH_LEFT, Pose.MOUTH_RIGHT]].mean(axis=0)
        trunk = np.clip(points[_SHOULDERS + _HIPS], 0.0, size)
        shown = np.vstack([shown, eyes + _CROWN * (eyes - mouth), trunk])
    low, high = shown.min(axis=0), shown.max(axis=0)
    margin = VISIBLE_MARGIN * float((high - low).max())
    low, high = np.maximum(low - margin, 0.0), np.minimum(high + margin, size)
    return np.asarray(np.concatenate([low, high]), np.float32)


def _look(image: Image, box: Array, roi: Roi, detect: PoseDetection) -> ReadPose:
    pose = detect(image, framed(roi, box, image))
    return ReadPose(pose, agreement(pose, box, image) if pose.score >= _MIN_SCORE else 0.0)


def _stretched(image: Image, box: Array, read: ReadPose, detect: PoseDetection) -> ReadPose:
    """Where landmarks show a squeezed body, look at the region of one as long as its head says."""
    if not squeezed(read.pose):
        return read
    height = max(float(box[3] - box[1]), 1.0)
    length = min(_BODY_LENGTH * head_scale(read.pose) / height, _MAX_LENGTH)
    longer = _look(image, box, roi_of_length(box, length), detect)
    return longer if longer.believed and not squeezed(longer.pose) else read


def _look_again(image: Image, box: Array, read: ReadPose, detect: PoseDetection) -> ReadPose:
    """Look at the region that landmarks give; the same landmarks where it is out of all range."""
    if not _ROI_SIZES[0] < read.pose.roi.size < _ROI_SIZES[1] * max(image.shape):
        return read
    return _look(image, box, read.pose.roi, detect)
