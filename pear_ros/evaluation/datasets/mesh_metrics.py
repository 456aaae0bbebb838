# SPDX-License-Identifier: Apache-2.0
"""Errors of meshes and of parts of them, and of detection together with them.

Vertices are (V, 3) in metres; errors are in millimetres.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pear_ros.evaluation.labels import Doubles
from pear_ros.evaluation.pose_metrics import aligned, mpjpe

Mask = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.integer]

MATCHING_JOINTS = 24
"""Joints, from the first, by whose distance AGORA's evaluation assigns people."""
MATCHING_IOU = 0.1
"""Least intersection over union of the boxes of these joints."""
_LEAST = 3
"""Points that determine a similarity transform."""


def pa_pve(found: Doubles, truth: Doubles, counted: Mask | None = None) -> float:
    """Return the mean distance of vertices, mm, after the best similarity transform of all of them.

    PA-PVE, also PA-MPVPE (Moon et al., Hand4Whole, CVPRW 2022). `counted` (V,): those of which the
    mean is taken; None: all. NaN where none counts, or fewer than three are known.
    """
    known = np.isfinite(found + truth).all(axis=1)
    if known.sum() < _LEAST:
        return float("nan")
    moved = aligned(found[known], truth[known])
    seen = np.ones(len(moved), bool) if counted is None else counted[known]
    return mpjpe(moved[seen], truth[known][seen])


def hands_pa_pve(
    found: Doubles, truth: Doubles, hands: Sequence[Indices], counted: Mask | None = None
) -> float:
    """Return the mean over the hands of PA-PVE of each, mm; NaN where none is seen.

    `hands`: indices of the vertices of left and right hand; `counted` (V,) of all vertices: a hand
    without any that counts is left out.
    """
    errors = [
        pa_pve(found[hand], truth[hand], None if counted is None else counted[hand])
        for hand in hands
    ]
    known = [error for error in errors if np.isfinite(error)]
    return float(np.mean(known)) if known else float("nan")


def greatest_distance(found: Doubles, truth: Doubles) -> float:
    """Return the greatest distance of points (N, 3), mm.

    Of the lips' vertices it is the lip vertex error of a frame (Richard et al., MeshTalk, ICCV
    2021).
    """
    return 1000.0 * float(np.linalg.norm(found - truth, axis=1).max())


def f1_score(hits: int, false: int, missed: int) -> float:
    """Return F1 of a detection, the harmonic mean of precision and recall; NaN: nothing to find."""
    total = hits + (false + missed) / 2.0
    return hits / total if total else float("nan")


def match_by_joints(
    found: Doubles, truth: Doubles, valid: Mask
) -> tuple[list[tuple[int, int]], list[int]]:
    """Return pairs (found, labelled), and the found who belong to nobody.

    `found` (P, 24, 2), `truth` (T, 24, 2) joints in the image, pixels; `valid` (T,). As AGORA's
    evaluation (Patel et al., CVPR 2021) does, the pair with the least distance of joints comes
    first, and pairs need an overlap of their boxes. Labelled people who are not valid take no found
    one away.
    """
    distance = np.linalg.norm(found[:, None] - truth[None], axis=(2, 3))
    distance[~np.isfinite(distance)] = np.inf
    distance[_overlap(found, truth) < MATCHING_IOU] = np.inf
    distance[:, ~valid] = np.inf
    pairs = []
    while distance.size and np.isfinite(distance).any():
        one, other = np.unravel_index(np.argmin(distance), distance.shape)
        pairs.append((int(one), int(other)))
        distance[one] = np.inf
        distance[:, other] = np.inf
    taken = {one for one, _ in pairs}
    return pairs, [one for one in range(len(found)) if one not in taken]


def _overlap(found: Doubles, truth: Doubles) -> Doubles:
    """(P, T) intersection over union of the boxes of joints; 0 where a joint is unknown."""
    low = np.maximum(found.min(axis=1)[:, None], truth.min(axis=1)[None])
    high = np.minimum(found.max(axis=1)[:, None], truth.max(axis=1)[None])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    areas = [np.prod(np.ptp(points, axis=1), axis=1) for points in (found, truth)]
    union = areas[0][:, None] + areas[1][None] - shared
    with np.errstate(invalid="ignore", divide="ignore"):
        overlap: Doubles = np.nan_to_num(shared / union)
    return overlap
