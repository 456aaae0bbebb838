# SPDX-License-Identifier: Apache-2.0
"""Which detection, and which estimate, shows which of the people who are followed.

All pairs at once, by the assignment that costs least (scipy.optimize.linear_sum_assignment). What
an estimate costs is -2 times the logarithm of how likely it is to show a person, up to a constant:
who was not seen for long may be anywhere, and so is no match for somebody just seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from pear_ros.core.boxes import iou_matrix, same_person, same_person_matrix
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Detection, Estimate
from pear_ros.core.people import Array
from pear_ros.tracking.kalman import Doubles, Motion
from pear_ros.tracking.track import NUM_BODY

_NEWCOMER = 18.0
"""Cost of taking an estimate for somebody new."""
_FAR_ALONG = 9.0
"""No wrong depth costs more: sizes are read wrongly, as of people who bend down."""
_OTHER_LOOK = 4.0
"""Cost of a look that shows another person than before."""
_NO_OVERLAP = 4.0
"""Cost of a box that does not overlap the expected one."""

_BETAS = 10
"""Coefficients of shape that are compared, the first ones."""
_SAME_SHAPE = 0.5
"""Mean squared difference of the shapes of one person, in two estimates: variances."""
_OTHER_SHAPE = 2.5
"""The same of two people."""
_SHAPE_WEIGHT = 3.0
"""How many coefficients one picture tells of independently: all of them err together."""
_FAR_SHAPE = 8.0
"""No shape costs more."""

_NEAR = 0.25
"""A detection this far from where somebody is expected may be theirs: over their box's length."""
_OTHER_SIZE = np.log(3.0)
"""Ratio of the lengths of two boxes beyond which they are not of one person."""
_SPREAD = 3.0
"""Standard deviations of where they are expected, which add to it."""

_SAME_BODY = 0.1
"""Two bodies whose joints are nearer to each other, over their size in the image, are one."""
_OTHER_BODY = 0.2
"""Two bodies in the same place that are further apart are certainly two."""


def match_detections(
    expected: Array, motion: Motion, camera: Camera, detections: Sequence[Detection]
) -> dict[int, int]:
    """Which detection is whose: row -> detection.

    Of people in `motion`, who are expected in boxes (N, 4).
    """
    if not len(expected) or not detections:
        return {}
    boxes = np.stack([detection.box for detection in detections])
    length = _length(expected)[:, None]
    ratio = np.abs(np.log(_length(boxes) / length))
    apart = (boxes[:, :2] + boxes[:, 2:] - (expected[:, None, :2] + expected[:, None, 2:])) / 2.0
    depth = np.maximum(motion.root[:, 2], 0.1)
    spread = _SPREAD * np.sqrt(motion.variance[:, 0]) * camera.fx / depth
    off = np.linalg.norm(apart, axis=2) / (_NEAR * length + spread[:, None])
    possible = ((off < 1.0) & (ratio < _OTHER_SIZE)) | same_person_matrix(expected, boxes)
    return _assign(np.where(possible, off + ratio, np.inf), 1e3)


def _length(boxes: Array) -> Array:
    """(N,) longer sides of boxes (N, 4), a pixel at least."""
    length: Array = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1), np.float32(1.0))
    return length


def match_estimates(
    expected: Array,
    motion: Motion,
    shapes: Array,
    estimates: Sequence[Estimate],
    owners: Sequence[int | None],
) -> dict[int, int]:
    """Which estimate shows whom: row -> estimate.

    Of people in `motion`, who are expected in boxes (N, 4) and have betas `shapes` (N, num_betas).
    `owners`: the row for which an estimate was made; None: for nobody in particular.
    """
    if not len(expected) or not estimates:
        return {}
    roots = np.stack([one.joints[0] for one in estimates]).astype(np.float64)
    across, along, variance = motion.surprise(roots)
    cost = (across * across).sum(axis=2) / variance[..., 0]
    cost += np.minimum(along * along / variance[..., 1], _FAR_ALONG)
    cost += 2.0 * np.log(variance[..., 0]) + np.log(variance[..., 1])
    cost += _shape_cost(shapes, np.stack([one.smplx.betas for one in estimates]))
    cost += _NO_OVERLAP * (1.0 - iou_matrix(expected, np.stack([one.box for one in estimates])))
    for place, owner in enumerate(owners):
        if owner is not None:
            cost[owner, place] -= _OTHER_LOOK
    return _assign(cost, _NEWCOMER)


def distances(estimates: Sequence[Estimate]) -> Doubles:
    """(N, N) mean distances of body joints in the image, over the size of the smaller body."""
    points = np.stack([one.keypoints[:NUM_BODY] for one in estimates]).astype(np.float64)
    sizes = np.ptp(points, axis=1).max(axis=1)
    apart = np.linalg.norm(points[:, None] - points, axis=3).mean(axis=2)
    result: Doubles = apart / np.maximum(np.minimum(sizes[:, None], sizes), 1e-9)
    return result


def distinct(estimates: Sequence[Estimate]) -> list[int]:
    """Places of estimates of different people: of those of one person, the first."""
    if not estimates:
        return []
    apart = distances(estimates)
    kept: list[int] = []
    for place in range(len(estimates)):
        if not any(apart[place, other] < _SAME_BODY for other in kept):
            kept.append(place)
    return kept


def is_somebody_else(estimate: Estimate, others: Sequence[Estimate], believed: bool) -> bool:
    """Whether an estimate certainly shows none of `others`, but somebody new.

    `believed`: a detector that can tell people apart says so; two readings of one person, made
    from different regions, may differ much.
    """
    near = [other for other in others if same_person(estimate.box, other.box)]
    if not near:
        return True
    return believed and bool(distances([estimate, *near])[0, 1:].min() > _OTHER_BODY)


def _shape_cost(known: Array, seen: Array) -> Doubles:
    """(N, M) of betas (N, num_betas) and (M, num_betas)."""
    apart = known[:, None, :_BETAS].astype(np.float64) - seen[:, :_BETAS]
    cost = (apart**2).mean(axis=2) * (1.0 / _SAME_SHAPE - 1.0 / _OTHER_SHAPE)
    cost += np.log(_SAME_SHAPE / _OTHER_SHAPE)
    result: Doubles = np.minimum(_SHAPE_WEIGHT * cost, _FAR_SHAPE)
    return result


def _assign(cost: Doubles, limit: float) -> dict[int, int]:
    """Row -> column of the cheapest assignment in which a pair may be left out at a cost."""
    gain = np.minimum(cost - limit, 0.0)
    rows, columns = linear_sum_assignment(gain)
    return {
        int(row): int(column)
        for row, column in zip(rows, columns, strict=True)
        if gain[row, column] < 0.0
    }
