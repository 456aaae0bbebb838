# SPDX-License-Identifier: Apache-2.0
"""Which found person is which labelled one, by the overlap of their boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from pear_ros.core.boxes import iou_matrix
from pear_ros.core.people import Array
from pear_ros.evaluation.labels import Doubles, LabelledPerson

MIN_IOU = 0.3
"""Least intersection over union of a found and a labelled box of one person.

Low, since labelled boxes end where the person is hidden, and boxes around landmarks need not.
"""
IN_CROWD = 0.5
"""Share of a found box in a region labelled as crowd, from which on it is left out."""


@dataclass(frozen=True)
class FoundPerson:
    """One person as a method found them in one picture; NaN: unknown."""

    box: Array
    """(4,) x0 y0 x1 y1, pixels."""
    score: float
    """Confidence that it is a person."""
    keypoints: Doubles
    """(17, 2) COCO's keypoints, pixels."""
    hands: Doubles = field(default_factory=lambda: np.full((42, 2), np.nan))
    """(42, 2) keypoints of left and right hand in COCO-WholeBody's order, pixels."""
    landmarks: Doubles = field(default_factory=lambda: np.full((17, 2), np.nan))
    """(17, 2) COCO's keypoints as the landmark model saw them, before the fit of a body, pixels."""
    joints: Doubles = field(default_factory=lambda: np.full((17, 3), np.nan))
    """(17, 3) COCO's keypoints in space, metres; axes are those of the optical frame."""
    placed: bool = True
    """Whether joints are where the person is, not only relative to the hips."""
    observed: bool = True
    """Whether keypoints and joints were seen; False: there is a box, and a body at rest in it."""
    orientation: Doubles | None = None
    """(3, 3) from body axes (left, up, forward) to the optical frame; None: only joints are."""
    vertices: Doubles | None = None
    """(V, 3) of the mesh in the optical frame, metres; None: not computed."""
    name: str = ""
    """Name in pictures: the id of the track."""


@dataclass(frozen=True)
class MatchedPicture:
    """All people labelled and found in one picture."""

    index: int
    """Index of the picture in its set."""
    people: Sequence[LabelledPerson]
    found: Sequence[FoundPerson]
    match: npt.NDArray[np.intp]
    """(people,) index in `found`; -1: missed, or a crowd."""
    in_crowd: npt.NDArray[np.bool_]
    """(found,) whether it matches no labelled person but lies in a crowd."""

    @property
    def unmatched(self) -> list[int]:
        """Indices of the found who match no labelled person, outside of crowds."""
        taken = set(self.match.tolist())
        return [n for n in range(len(self.found)) if n not in taken and not self.in_crowd[n]]


def match(
    index: int, people: Sequence[LabelledPerson], found: Sequence[FoundPerson]
) -> MatchedPicture:
    """Assign the found to the labelled so that the sum of their boxes' overlaps is greatest.

    Pairs overlap by at least MIN_IOU. Found people in crowds are left out as in COCO's evaluation
    (https://cocodataset.org/#detection-eval).
    """
    boxes = _boxes([one.box for one in found])
    labelled = _boxes([person.box for person in people])
    crowd = np.array([person.crowd for person in people], bool)
    overlap = iou_matrix(labelled, boxes)
    overlap[crowd] = 0.0
    overlap[~(overlap >= MIN_IOU)] = 0.0
    result = np.full(len(people), -1, np.intp)
    for person, one in zip(*linear_sum_assignment(overlap, maximize=True), strict=True):
        if overlap[person, one] > 0.0:
            result[person] = one
    in_crowd = np.zeros(len(found), bool)
    if crowd.any():
        in_crowd |= np.any(_share_within(boxes, labelled[crowd]) >= IN_CROWD, axis=1)
    in_crowd[result[result >= 0]] = False
    return MatchedPicture(index, people, found, result, in_crowd)


def _boxes(boxes: Sequence[npt.NDArray[np.floating]]) -> Array:
    return np.asarray(boxes, np.float32).reshape(-1, 4)


def _share_within(boxes: Array, regions: Array) -> Array:
    """(N, M) share of each box's area that is in each region."""
    low = np.maximum(boxes[:, None, :2], regions[:, :2])
    sides = np.maximum(np.minimum(boxes[:, None, 2:], regions[:, 2:]) - low, 0.0)
    area = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-6), axis=1)
    shares: Array = np.prod(sides, axis=2) / area[:, None]
    return shares
