# SPDX-License-Identifier: Apache-2.0
"""Data association: assignment of detections and of estimates to tracks.

All pairs are assigned at once, by the assignment of least total cost (the Hungarian problem, solved
by scipy.optimize.linear_sum_assignment) with a gate: a pair that costs more than the gate is left
out. The cost of an estimate for a track is -2 times the log likelihood of the estimate, up to a
constant:

    nu^T S^-1 nu + log det S  +  cost of the shape  +  cost of the box

The first term is the squared Mahalanobis distance. Because of log det S, a track that was not seen
for long, whose S is large, does not win an estimate that fits a track seen just now (Bar-Shalom, Li
and Kirubarajan 2001; Altendorfer and Wirkert: Why the association log-likelihood distance should be
used for measurement-to-track association, IEEE IV 2016).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from pear_ros.core.boxes import distinct, iou_matrix, same_person, same_person_matrix
from pear_ros.core.camera import Camera
from pear_ros.core.estimator import Detection
from pear_ros.core.people import Array, Estimate
from pear_ros.tracking.kalman import Doubles, RootStates
from pear_ros.tracking.track import NUM_BODY_JOINTS

_GATE = 18.0
"""Gate of estimates: the cost of a new track instead of an assignment."""
_MAX_ALONG_COST = 9.0
"""Limit of the cost of the distance: apparent size misleads, for example when people bend down."""
_OTHER_REGION_COST = 4.0
"""Cost of an estimate from a region that did not belong to the track."""
_MAX_DETECTED_COST = 20.0
"""Limit of the squared Mahalanobis distance of an estimate for the track that its detection was
assigned to, where no other track is near: people jump and fall, and the gate of detections has been
passed."""
_DETECTED_COST = 0.0
"""Cost of an unread body for the track that its detection was assigned to: well below the gate."""
_NO_OVERLAP_COST = 4.0
"""Cost of a box that does not overlap the predicted one."""

MAX_NOISE = 5.0
"""Standard deviation of the place of an unread body, over that of a certain one."""

_NUM_BETAS = 10
"""Number of shape coefficients that are compared, the first ones."""
_SAME_SHAPE_VARIANCE = 0.5
"""Mean squared difference of the betas of two estimates of one person."""
_OTHER_SHAPE_VARIANCE = 2.5
"""Mean squared difference of the betas of two people."""
_INDEPENDENT_BETAS = 3.0
"""Effective number of independent coefficients: the errors of an image's betas are correlated."""
_MAX_SHAPE_COST = 8.0
"""Limit of the cost of the shape."""

_DETECTION_GATE = 1e3
"""Gate of detections: above any cost of a possible pair."""
_DETECTION_RADIUS = 0.25
"""Radius of the gate around a predicted box, as a share of the box's longer side."""
_DETECTION_STDS = 3.0
"""Predicted standard deviations of the root that are added to this radius."""
_MAX_LOG_SIZE_RATIO = np.log(3.0)
"""Log ratio of the sizes of two boxes above which they do not belong to one person."""

_DUPLICATE_DISTANCE = 0.1
"""Two estimates with a smaller keypoint distance are duplicates."""
_DISTINCT_DISTANCE = 0.2
"""Two estimates with overlapping boxes and a larger keypoint distance are two people."""


def assign_detections(
    boxes: Array, predicted: RootStates, camera: Camera, detections: Sequence[Detection]
) -> dict[int, int]:
    """Return the index of the detection of each track that has one: {track: detection}.

    `boxes` (N, 4) pixels and `predicted` (N states): what is predicted for the tracks.
    """
    if not len(boxes) or not detections:
        return {}
    detected = np.stack([detection.box for detection in detections])  # (M, 4)
    size = _box_sizes(boxes)[:, None]  # (N, 1)
    log_ratio = np.abs(np.log(_box_sizes(detected) / size))  # (N, M)
    offset = (detected[:, :2] + detected[:, 2:] - (boxes[:, None, :2] + boxes[:, None, 2:])) / 2.0
    depth = np.maximum(predicted.root[:, 2], 0.1)
    spread = _DETECTION_STDS * np.sqrt(predicted.variance[:, 0]) * camera.fx / depth  # (N,) pixels
    distance = np.linalg.norm(offset, axis=2) / (_DETECTION_RADIUS * size + spread[:, None])
    near = (distance < 1.0) & (log_ratio < _MAX_LOG_SIZE_RATIO)
    gated = near | same_person_matrix(boxes, detected)
    return _assign(np.where(gated, distance + log_ratio, np.inf), _DETECTION_GATE)


def assign_estimates(
    boxes: Array,
    predicted: RootStates,
    betas: Array,
    estimates: Sequence[Estimate],
    region_tracks: Sequence[int | None],
    detected: Sequence[bool],
) -> dict[int, int]:
    """Return the index of the estimate of each track that has one: {track: estimate}.

    `boxes` (N, 4) pixels and `predicted` (N states): what is predicted for the tracks; `betas`
    (N, num_betas): their mean shapes. For each estimate, `region_tracks`: the index of the track
    that its region belongs to, None if it belongs to none; `detected`: whether this region is a
    detection of this image by a detector that distinguishes people.
    """
    if not len(boxes) or not estimates:
        return {}
    roots = np.stack([estimate.joints[0] for estimate in estimates]).astype(np.float64)
    unread = [not estimate.pose_observed for estimate in estimates]
    # (N, M, 3), (N, M), (N, M, 2)
    across, along, S = predicted.innovations(roots, measurement_noise(estimates))
    # nu^T S^-1 nu + log det S; S is diagonal, with two equal entries across the line of sight.
    cost = (across * across).sum(axis=2) / S[..., 0]
    cost += np.minimum(along * along / S[..., 1], _MAX_ALONG_COST)
    overlap = iou_matrix(boxes, np.stack([estimate.box for estimate in estimates]))
    for column, track in enumerate(region_tracks):
        if track is not None and detected[column] and _is_alone(track, boxes, overlap[:, column]):
            cost[track, column] = min(cost[track, column], _MAX_DETECTED_COST)
    cost += 2.0 * np.log(S[..., 0]) + np.log(S[..., 1])
    shape = _shape_cost(betas, np.stack([estimate.smplx.betas for estimate in estimates]))
    cost += np.where(unread, 0.0, shape)
    cost += _NO_OVERLAP_COST * (1.0 - overlap)
    for column, track in enumerate(region_tracks):
        if track is not None and unread[column]:
            # Only the detection is known of this person, and that is assigned already.
            cost[:, column] = _GATE
            cost[track, column] = _DETECTED_COST
        elif track is not None:
            cost[track, column] -= _OTHER_REGION_COST
    return _assign(cost, _GATE)


def measurement_noise(estimates: Sequence[Estimate]) -> Doubles:
    """Return (N,) standard deviations of the estimates' places over those of certain ones.

    They grow as scores fall: a body that hardly fits its landmarks may be beside the person.
    """
    scores = np.array([one.score if one.pose_observed else 0.0 for one in estimates])
    return np.asarray(1.0 / np.maximum(scores, 1.0 / MAX_NOISE))


def keypoint_distances(estimates: Sequence[Estimate]) -> Doubles:
    """Return (N, N) mean distances of body keypoints, relative to the size of the smaller body.

    The size of a body is the longer side of the box around its keypoints.
    """
    points = np.stack([one.keypoints[:NUM_BODY_JOINTS] for one in estimates]).astype(np.float64)
    sizes = np.ptp(points, axis=1).max(axis=1)  # (N,)
    distance = np.linalg.norm(points[:, None] - points, axis=3).mean(axis=2)  # (N, N)
    result: Doubles = distance / np.maximum(np.minimum(sizes[:, None], sizes), 1e-9)
    return result


def suppress_duplicates(estimates: Sequence[Estimate]) -> list[int]:
    """Return the indices of estimates of distinct people: the first of each set of duplicates."""
    if not estimates:
        return []
    return distinct(keypoint_distances(estimates) < _DUPLICATE_DISTANCE)


def is_new_person(estimate: Estimate, others: Sequence[Estimate], confirmed: bool) -> bool:
    """Return whether an unassigned estimate certainly shows a person who is none of `others`.

    `confirmed`: whether a detector that distinguishes people has detected this person. Without it,
    an estimate whose box overlaps another one is no new person, since two estimates of one person
    from different regions may differ much.
    """
    near = [other for other in others if same_person(estimate.box, other.box)]
    if not near:
        return True
    return confirmed and bool(
        keypoint_distances([estimate, *near])[0, 1:].min() > _DISTINCT_DISTANCE
    )


def _is_alone(track: int, boxes: Array, overlap: Array) -> bool:
    """Whether neither the track's predicted box nor the estimate's overlaps another track's box.

    `boxes` (N, 4) pixels; `overlap` (N,): IoU of the estimate's box with each of them.
    """
    near = overlap + iou_matrix(boxes[track][None], boxes)[0]
    return not np.delete(near, track).any()


def _box_sizes(boxes: Array) -> Array:
    """(N,) longer sides of boxes (N, 4), at least a pixel."""
    sizes: Array = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(axis=1), np.float32(1.0))
    return sizes


def _shape_cost(betas: Array, estimated: Array) -> Doubles:
    """(N, M) -2 log likelihood ratio, same person to two people, of betas (N, B) and (M, B)."""
    difference = betas[:, None, :_NUM_BETAS].astype(np.float64) - estimated[:, :_NUM_BETAS]
    cost = (difference**2).mean(axis=2) * (1.0 / _SAME_SHAPE_VARIANCE - 1.0 / _OTHER_SHAPE_VARIANCE)
    cost += np.log(_SAME_SHAPE_VARIANCE / _OTHER_SHAPE_VARIANCE)
    result: Doubles = np.minimum(_INDEPENDENT_BETAS * cost, _MAX_SHAPE_COST)
    return result


def _assign(cost: Doubles, gate: float) -> dict[int, int]:
    """{row: column} of the assignment of least cost, where leaving out a pair costs `gate`."""
    gain = np.minimum(cost - gate, 0.0)
    rows, columns = linear_sum_assignment(gain)
    return {
        int(row): int(column)
        for row, column in zip(rows, columns, strict=True)
        if gain[row, column] < 0.0
    }
