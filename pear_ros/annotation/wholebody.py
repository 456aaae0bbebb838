# SPDX-License-Identifier: Apache-2.0
"""COCO-WholeBody's 133 points (Jin et al., ECCV 2020), from landmarks and from labels.

Order: 17 of COCO, 6 of the feet (left big toe, left small toe, left heel, right ones), 68 of the
face in the order of 300-W (Sagonas et al., 2016), 21 of the left hand, 21 of the right one.
"""

from __future__ import annotations

import numpy as np

from pear_ros.core.people import Array
from pear_ros.evaluation.keypoint_names import COCO_OF_POSE
from pear_ros.evaluation.labels import LabelledPerson
from pear_ros.landmarks.topology import Pose
from pear_ros.landmarks.types import FaceLandmarks, HandLandmarks, PoseLandmarks

NUM_POINTS = 133
BODY, FEET, FACE = slice(0, 17), slice(17, 23), slice(23, 91)
LEFT_HAND, RIGHT_HAND = slice(91, 112), slice(112, 133)
HANDS = {"left_hand": LEFT_HAND, "right_hand": RIGHT_HAND}
"""Points of each hand, by its name in pear_ros.annotation.sample.PARTS."""
LEFT_WRIST, RIGHT_WRIST = 9, 10
LEFT_EYE, RIGHT_EYE = 1, 2

FACE_RIGHT_EYE, FACE_LEFT_EYE, FACE_NOSE_TIP = slice(36, 42), slice(42, 48), 30
"""Some of the 68 points of the face."""

FACE_OF_MESH = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 82, 13, 312, 308, 317, 14, 87),
)
"""For each of the 68 points of the face the nearest of the 468 landmarks of the face mesh."""

_FEET_OF_POSE = {
    17: Pose.LEFT_FOOT_INDEX,
    19: Pose.LEFT_HEEL,
    20: Pose.RIGHT_FOOT_INDEX,
    22: Pose.RIGHT_HEEL,
}
"""Points of the feet that BlazePose has; the small toes are unknown."""
_LABELLED_CONFIDENCE = np.array([0.0, 0.5, 1.0])
"""Confidence of a labelled point by COCO's flag: not labelled, hidden, visible."""


def no_points() -> Array:
    """Return 133 unknown points (133, 3): x and y are NaN, confidence is 0."""
    points = np.full((NUM_POINTS, 3), np.nan, np.float32)
    points[:, 2] = 0.0
    return points


def points_of_landmarks(
    pose: PoseLandmarks,
    left_hand: HandLandmarks | None,
    right_hand: HandLandmarks | None,
    face: FaceLandmarks | None,
) -> Array:
    """Return the points (133, 3) x, y, confidence of a person's landmarks, pixels of the image."""
    points = no_points()
    seen = pose.visibility * pose.presence
    points[BODY] = np.column_stack([pose.image[COCO_OF_POSE, :2], seen[COCO_OF_POSE]])
    for index, landmark in _FEET_OF_POSE.items():
        points[index] = [*pose.image[landmark, :2], seen[landmark]]
    if face is not None:
        points[FACE, :2], points[FACE, 2] = face.image[list(FACE_OF_MESH), :2], face.score
    for part, hand in ((LEFT_HAND, left_hand), (RIGHT_HAND, right_hand)):
        if hand is not None:
            points[part, :2], points[part, 2] = hand.image[:, :2], hand.score
    return points


def points_of_labels(person: LabelledPerson) -> Array:
    """Return the points (133, 3) x, y, confidence of a labelled person, pixels.

    Confidence of points that are labelled as visible is 1, of hidden ones 0.5.
    """
    labelled = np.concatenate([person.keypoints, person.feet, person.face, person.hands])
    points = labelled.astype(np.float32)
    # Points of faces and hands have confidences of their own in some files.
    flags = np.clip(np.ceil(labelled[:, 2]), 0, 2).astype(int)
    points[:, 2] = _LABELLED_CONFIDENCE[flags]
    points[flags == 0, :2] = np.nan
    return points


def without(points: Array, part: slice) -> Array:
    """Return the points (133, 3) with those of a part unknown."""
    changed = points.copy()
    changed[part, :2], changed[part, 2] = np.nan, 0.0
    return changed


def size_of(points: Array) -> float:
    """Return the longer side of the box around points (N, 3) that are known; NaN: fewer than two.

    Pixels.
    """
    known = points[points[:, 2] > 0.0, :2]
    return float(np.ptp(known, axis=0).max()) if len(known) > 1 else float("nan")
