# SPDX-License-Identifier: Apache-2.0
"""Checks between modules: what disagrees is given less weight, or rejected.

A check measures a disagreement. Up to its first limit a part keeps its confidence, from there to
the second limit confidence falls linearly to 0, and beyond the part is rejected; where the part is
the body, the whole person is. A check that cannot measure (NaN) changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pear_ros.annotation.fit import Evidence, Fitted
from pear_ros.annotation.part_confidence import JOINTS_OF_PART
from pear_ros.annotation.silhouette import Bools, overlap
from pear_ros.annotation.wholebody import (
    BODY,
    FACE,
    FACE_LEFT_EYE,
    FACE_NOSE_TIP,
    FACE_RIGHT_EYE,
    HANDS,
    LEFT_EYE,
    LEFT_WRIST,
    RIGHT_EYE,
    RIGHT_WRIST,
    size_of,
)
from pear_ros.core.camera import Camera
from pear_ros.core.people import Array, Estimate
from pear_ros.evaluation.coco_regressor import coco_joints
from pear_ros.evaluation.keypoint_names import HAND_JOINTS
from pear_ros.fitting.skeleton import NUM_BODY_JOINTS

MIN_CONFIDENCE = 0.3
"""Least confidence of 2D points that checks compare with."""
_MIN_POINTS = 4
"""Least number of points for a median."""
_NOSE = 0


@dataclass(frozen=True)
class Check:
    """A disagreement between modules, and its limits."""

    part: str
    """The part whose confidence it changes, one of PARTS in pear_ros.annotation.sample."""
    doubtful: float
    """Value from which on confidence falls."""
    rejected: float
    """Value from which on the part is rejected."""
    reason: str
    """What a rejection means, for reports."""

    def weight(self, value: float) -> float:
        """Return the factor on the part's confidence, 0 to 1; 1 for NaN."""
        if math.isnan(value):
            return 1.0
        return float(np.clip((self.rejected - value) / (self.rejected - self.doubtful), 0.0, 1.0))


CHECKS: Mapping[str, Check] = {
    "reprojection": Check(
        "body", 0.03, 0.08, "the fitted body lies beside the 2D points, by body sizes"
    ),
    "jump": Check("body", 3.0, 8.0, "joints jump from the image before, metres per second"),
    "left_hand_wrist": Check(
        "left_hand", 0.4, 0.8, "the left hand begins away from the body's wrist, by hand sizes"
    ),
    "right_hand_wrist": Check(
        "right_hand", 0.4, 0.8, "the right hand begins away from the body's wrist, by hand sizes"
    ),
    "left_hand_fit": Check(
        "left_hand", 0.25, 0.6, "the fitted left hand lies beside its 2D points, by hand sizes"
    ),
    "right_hand_fit": Check(
        "right_hand", 0.25, 0.6, "the fitted right hand lies beside its 2D points, by hand sizes"
    ),
    "face_head": Check(
        "face", 0.2, 0.4, "the eyes of the face are away from those of the body, by face sizes"
    ),
    "face_fit": Check(
        "face", 0.2, 0.5, "the fitted head lies beside the face's nose, by face sizes"
    ),
    "mask": Check(
        "mask", 0.35, 0.6, "the mask and the fitted body's silhouette hardly overlap, 1 - IoU"
    ),
}
"""All checks by name, in the order of reports. Limits: docs/annotate.md has what they stand on."""

BEFORE_FIT = ("left_hand_wrist", "right_hand_wrist", "face_head")
"""Checks of 2D points alone: parts that they reject take no part in the fit."""


@dataclass
class Verdict:
    """What checks say of one person."""

    measures: dict[str, float] = field(default_factory=dict)
    """Value of each check by name; NaN: could not be measured."""

    def rejected(self, part: str) -> list[str]:
        """Return the names of the checks that reject a part."""
        return [
            name
            for name, value in self.measures.items()
            if CHECKS[name].part == part and value >= CHECKS[name].rejected
        ]

    def doubted(self) -> list[str]:
        """Return the names of the checks that lower a confidence, but reject nothing."""
        return [
            name
            for name, value in self.measures.items()
            if CHECKS[name].doubtful < value < CHECKS[name].rejected
        ]

    def weight(self, part: str) -> float:
        """Return the factor on the confidence of a part, 0 to 1."""
        return math.prod(
            CHECKS[name].weight(value)
            for name, value in self.measures.items()
            if CHECKS[name].part == part
        )

    @property
    def worst(self) -> float:
        """The greatest value over its limit of rejection; 0 where nothing was measured."""
        return max(
            (
                value / CHECKS[name].rejected
                for name, value in self.measures.items()
                if not math.isnan(value)
            ),
            default=0.0,
        )


def compare_points(points: Array) -> dict[str, float]:
    """Return the values of the checks BEFORE_FIT of 2D points (133, 3)."""
    measures = {}
    for hand, wrist in (("left_hand", LEFT_WRIST), ("right_hand", RIGHT_WRIST)):
        part = points[HANDS[hand]]
        measures[f"{hand}_wrist"] = _distance(part[:1], points[wrist : wrist + 1], size_of(part))
    face = points[FACE]
    eyes = np.stack([face[FACE_LEFT_EYE].mean(axis=0), face[FACE_RIGHT_EYE].mean(axis=0)])
    measures["face_head"] = _distance(eyes, points[[LEFT_EYE, RIGHT_EYE]], size_of(face))
    return measures


def compare_fit(
    fitted: Fitted, evidence: Evidence, camera: Camera, size: float
) -> dict[str, float]:
    """Return the values of the checks of a fit with 2D points.

    `size`: longer side of the person's box, pixels.
    """
    points = evidence.points
    body = camera.project(coco_joints(_estimate(fitted, camera)))
    known = points[BODY, 2] > MIN_CONFIDENCE
    known[:5] = False  # The head has checks of its own.
    limbs = np.flatnonzero(known)
    measures = {
        "reprojection": _median(body[limbs], points[BODY][limbs, :2], size),
        "face_fit": _distance(
            _known(body[_NOSE : _NOSE + 1]),
            points[FACE][FACE_NOSE_TIP : FACE_NOSE_TIP + 1],
            size_of(points[FACE]),
        ),
    }
    joints = camera.project(fitted.joints)
    for number, (hand, part) in enumerate(HANDS.items()):
        found = points[part]
        of_side = {i - 21 * number: j for i, j in HAND_JOINTS.items() if i // 21 == number}
        ours, theirs = joints[list(of_side.values())], found[list(of_side), :2]
        measures[f"{hand}_fit"] = _median(ours, theirs, size_of(found))
    return measures


def compare_mask(mask: Array | None, silhouette: Bools | None) -> dict[str, float]:
    """Return the value of the check of a mask (256, 256), 0 to 1, with a silhouette."""
    if mask is None or silhouette is None:
        return {"mask": math.nan}
    return {"mask": 1.0 - overlap(mask > 0.5, silhouette)}


def compare_before(joints: Array, before: Array | None, elapsed: float) -> dict[str, float]:
    """Return the value of the check of joints (55, 3) with those `elapsed` seconds earlier.

    It is the median speed of the body's joints relative to the pelvis, metres per second.
    """
    if before is None or elapsed <= 0.0:
        return {"jump": math.nan}
    moved = (joints - joints[0]) - (before - before[0])
    distances = np.linalg.norm(moved[1:NUM_BODY_JOINTS], axis=1)
    return {"jump": float(np.median(distances)) / elapsed}


def joint_confidence(confidence: Array, rejected: Sequence[str]) -> Array:
    """Return the confidence (55,) of joints, 0 for those of the parts that were rejected."""
    changed = confidence.copy()
    for part in set(rejected) & set(JOINTS_OF_PART):
        changed[JOINTS_OF_PART[part]] = 0.0
    return changed


def _estimate(fitted: Fitted, camera: Camera) -> Estimate:
    return Estimate(
        score=1.0,
        box=np.zeros(4, np.float32),
        smplx=fitted.smplx,
        joints=fitted.joints,
        joint_confidence=fitted.joint_confidence,
        keypoints=camera.project(fitted.joints),
    )


def _known(pixels: Array) -> Array:
    """Return points (N, 2) with confidence 1 as a third column."""
    return np.hstack([pixels, np.ones((len(pixels), 1), np.float32)])


def _distance(ours: Array, theirs: Array, size: float) -> float:
    """Return the distance between the means of two sets of points (N, 3), over `size`.

    NaN where any of the points is unknown.
    """
    if min(ours[:, 2].min(), theirs[:, 2].min()) <= MIN_CONFIDENCE or not size > 0.0:
        return math.nan
    offset = ours[:, :2].mean(axis=0) - theirs[:, :2].mean(axis=0)
    return float(np.linalg.norm(offset)) / size


def _median(ours: Array, theirs: Array, size: float) -> float:
    """Return the median distance of points (N, 2), over `size`; NaN: too few are known."""
    distances = np.linalg.norm(ours - theirs, axis=1)
    distances = distances[np.isfinite(distances)]
    if len(distances) < _MIN_POINTS or not size > 0.0:
        return math.nan
    return float(np.median(distances)) / size
