# SPDX-License-Identifier: Apache-2.0
"""Hides the neighbours of a person from the pose model.

The pose model finds one person in its region, the most conspicuous one. Where people overlap, its
landmarks move to a neighbour. So what is nearer to the neighbours' bodies than to the person's own,
as their landmarks were in the image before, is black.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from pear_ros.core.boxes import intersection_area
from pear_ros.core.people import Array, Image
from pear_ros.landmarks.pose import visible_box
from pear_ros.landmarks.topology import Pose
from pear_ros.landmarks.types import PoseLandmarks

_MIN_OVERLAP = 0.05
"""Share of a person's box that a neighbour's box covers, from which on the neighbour is hidden."""
_MARGIN = 0.01
"""Margin around neighbours, over the side of their regions: they move from image to image."""
_AROUND = 0.5
"""Margin around the person's box in which neighbours are hidden, over the box's longer side."""
_CELLS = 160
"""Cells along the longer side of this area in which distances are measured, at most."""

# Widths of limbs and radius of the head, over the side of the person's region.
_ARM, _LEG, _TRUNK, _HEAD = 0.055, 0.075, 0.07, 0.075
_LIMBS = tuple(
    (Pose[f"{side}_{start}"], Pose[f"{side}_{end}"], width)
    for side in ("LEFT", "RIGHT")
    for start, end, width in (
        ("SHOULDER", "ELBOW", _ARM),
        ("ELBOW", "WRIST", _ARM),
        ("WRIST", "INDEX", _ARM),
        ("HIP", "KNEE", _LEG),
        ("KNEE", "ANKLE", _LEG),
        ("ANKLE", "FOOT_INDEX", _ARM),
    )
)
_SHOULDERS = [Pose.LEFT_SHOULDER, Pose.RIGHT_SHOULDER]
_TRUNK_CORNERS = [*_SHOULDERS, Pose.RIGHT_HIP, Pose.LEFT_HIP]
_FACE = slice(Pose.NOSE, Pose.MOUTH_RIGHT + 1)
_MIN_PRESENCE = 0.5
_MAX_SIDE = 1e4
"""Greatest side of a person's region in cells: OpenCV draws no wider lines."""

_Grid = tuple[int, int]


def without_neighbours(
    image: Image, box: Array, own: PoseLandmarks | None, others: Sequence[PoseLandmarks]
) -> Image:
    """Return the image (height, width, 3) with the neighbours of a person black.

    `box` (4,) x0 y0 x1 y1, pixels, of the person; `own`: the person's landmarks in the image
    before, None: unknown; `others`: those of all other people. The image itself is returned where
    none of them is near.
    """
    area = float(np.prod(box[2:] - box[:2]))
    near = [o for o in others if intersection_area(visible_box(o), box) > _MIN_OVERLAP * area]
    margin = _AROUND * float((box[2:] - box[:2]).max())
    size = np.array(image.shape[1::-1])
    x0, y0 = np.clip(np.floor(box[:2] - margin), 0, size).astype(int).tolist()
    x1, y1 = np.clip(np.ceil(box[2:] + margin), 0, size).astype(int).tolist()
    if not near or min(x1 - x0, y1 - y0) < 1:
        return image
    scale = min(1.0, _CELLS / max(x1 - x0, y1 - y0))
    grid = (max(1, round((y1 - y0) * scale)), max(1, round((x1 - x0) * scale)))
    corner = np.array([x0, y0], np.float32)
    theirs = np.minimum.reduce([_distances(grid, other, corner, scale) for other in near])
    hidden = theirs < _MARGIN
    if own is not None:
        hidden &= theirs < _distances(grid, own, corner, scale)
    # Masks of OpenCV are 0 where nothing is copied.
    mask = cv2.resize((~hidden).view(np.uint8), (x1 - x0, y1 - y0), interpolation=cv2.INTER_NEAREST)
    shown: Image = image.copy()
    shown[y0:y1, x0:x1] = cv2.copyTo(image[y0:y1, x0:x1], mask)
    return shown


def _distances(
    grid: _Grid, pose: PoseLandmarks, corner: Array, scale: float
) -> npt.NDArray[np.float32]:
    """Return the distances of the cells of a grid from a person, over the side of the region.

    They are negative inside. `grid`: rows and columns; `corner` (2,): of the grid in the image,
    pixels; `scale`: cells per pixel.
    """
    body = np.zeros(grid, np.uint8)
    side = min(pose.roi.size * scale, _MAX_SIDE)
    _draw(body, (pose.image[:, :2] - corner) * scale, pose.presence, side)
    outside, inside = (cv2.distanceTransform(b, cv2.DIST_L2, 3) for b in (1 - body, body))
    return np.asarray((outside - inside) / max(side, 1e-6), np.float32)


def _draw(body: npt.NDArray[np.uint8], points: Array, presence: Array, side: float) -> None:
    """Draw the silhouette of a person with landmarks (33, 2), in cells; `side`: of the region."""
    cells = np.clip(np.nan_to_num(points), -1e4, 1e4).astype(np.int32)

    def line(start: Array, end: Array, width: float) -> None:
        cv2.line(body, start.tolist(), end.tolist(), 1, max(1, round(width * side)))

    for start, end, width in _LIMBS:
        if min(presence[start], presence[end]) > _MIN_PRESENCE:
            line(cells[start], cells[end], width)
    trunk = cv2.convexHull(cells[_TRUNK_CORNERS])
    cv2.fillConvexPoly(body, trunk, 1)
    cv2.polylines(body, [trunk], True, 1, max(1, round(_TRUNK * side)))
    head, neck = (cells[part].mean(axis=0).astype(int) for part in (_FACE, _SHOULDERS))
    cv2.circle(body, head.tolist(), max(1, round(_HEAD * side)), 1, -1)
    line(head, neck, _TRUNK)
