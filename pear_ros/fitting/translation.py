# SPDX-License-Identifier: Apache-2.0
"""Where a posed body is: the translation with which its points project onto landmarks."""

from __future__ import annotations

import numpy as np

from pear_ros.core.camera import Camera
from pear_ros.core.people import Array

_MIN_DISTANCE = 0.3
"""Least mean depth of the points, metres; nearer, a face does not fit into the image."""
_MIN_DEPTH = 0.1
"""Least depth of any point, metres."""
_MIN_CORRELATION = 0.5
"""Least ratio of the depth by least squares to that by size; see `fit_translation`."""
_MIN_SPREAD = 1.0
"""Least standard deviation of the landmarks, pixels, that depth is computed from."""


def fit_translation(points: Array, pixels: Array, weights: Array, camera: Camera) -> Array:
    """Return the translation (3,), metres, with which points project best onto pixels.

    `points` (N, 3) metres, `pixels` (N, 2), `weights` (N,) of the points, 0: not observed. Weighted
    linear least squares of x + tx = u (z + tz) and y + ty = v (z + tz), with (u, v) the pixels in
    normalised image coordinates of the pinhole `camera`.

    All observed points come to lie in front of the camera. Least squares finds a depth too small by
    the correlation between points and pixels, and a negative one where the pose is wrong. Where it
    puts the body into the camera, or at less than half the depth at which the points spread as
    wide as the pixels, that depth is taken instead.
    """
    used = weights > 0.0
    if not used.any():
        return np.asarray((0.0, 0.0, _MIN_DISTANCE) - points.mean(axis=0), np.float32)
    w = np.square(weights[used], dtype=np.float64)  # (M,)
    w /= w.sum()
    xy, z = points[used, :2], points[used, 2:]  # (M, 2), (M, 1)
    uv = (pixels[used] - (camera.cx, camera.cy)) / (camera.fx, camera.fy)  # (M, 2)
    columns = np.concatenate([uv, xy, uv * z], axis=1)
    mean = w @ columns
    columns -= mean
    covariance = columns.T @ (w[:, None] * columns)  # (6, 6)
    spread = max(np.trace(covariance[:2, :2]), (_MIN_SPREAD / camera.fx) ** 2)
    # With the best tx and ty for each depth, one equation for the depth is left.
    tz = (np.trace(covariance[:2, 2:4]) - np.trace(covariance[:2, 4:])) / spread
    by_size = np.sqrt(np.trace(covariance[2:4, 2:4]) / spread)
    mean_z = float(w @ z[:, 0])
    if mean_z + tz < max(_MIN_DISTANCE, _MIN_CORRELATION * by_size):
        tz = max(_MIN_DISTANCE, by_size) - mean_z
    tz = max(tz, _MIN_DEPTH - z.min())
    return np.array([*(mean[4:] + tz * mean[:2] - mean[2:4]), tz], np.float32)
