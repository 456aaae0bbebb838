# SPDX-License-Identifier: Apache-2.0
"""Removes lens distortion from landmarks: where a pinhole camera would show them."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from pear_ros.core.camera import Camera
from pear_ros.core.people import Array
from pear_ros.landmarks.roi import Roi
from pear_ros.landmarks.types import FaceLandmarks, HandLandmarks, PoseLandmarks

_Part = TypeVar("_Part", HandLandmarks, FaceLandmarks)


def undistorted_pose(pose: PoseLandmarks, camera: Camera) -> PoseLandmarks | None:
    """Return the landmarks of a body in pixels of `camera.pinhole`.

    None: there is no ray at the region's centre. Landmarks without a ray get visibility and
    presence 0 and lie in the centre.
    """
    if camera.distortion is None:
        return pose
    image, roi = _undistorted(pose.image, pose.roi, camera)
    if roi is None:
        return None
    unseen = np.isnan(image).any(axis=1)
    image[unseen] = (roi.x, roi.y, 0.0)
    visibility, presence = np.where(unseen, np.float32(0.0), (pose.visibility, pose.presence))
    return replace(pose, image=image, visibility=visibility, presence=presence, roi=roi)


def undistorted_part(part: _Part, camera: Camera) -> _Part | None:
    """Return a hand or face in pixels of `camera.pinhole`; None: a landmark has no ray."""
    if camera.distortion is None:
        return part
    image, roi = _undistorted(part.image, part.roi, camera)
    if roi is None or np.isnan(image).any():
        return None
    return replace(part, image=image, roi=roi)


def _undistorted(image: Array, roi: Roi, camera: Camera) -> tuple[Array, Roi | None]:
    """Return landmarks (N, 3), NaN without a ray, and their region, None without a central ray."""
    middle, step = np.array([roi.x, roi.y]), roi.size / 4.0
    cross = middle + step * np.array([(0, 0), (-1, 0), (1, 0), (0, -1), (0, 1)])
    rays = camera.rays(np.concatenate([cross, image[:, :2]]))
    pixels = (rays * (camera.fx, camera.fy) + (camera.cx, camera.cy)).astype(np.float32)
    centre, left, right, above, below = pixels[:5]
    size = float(np.linalg.norm(right - left) + np.linalg.norm(below - above))
    depth = image[:, 2:] * np.float32(size / roi.size)
    ideal = np.concatenate([pixels[5:], depth], axis=1)
    if not np.isfinite([*centre, size]).all():
        return ideal, None
    return ideal, Roi(float(centre[0]), float(centre[1]), size, roi.angle)
