# SPDX-License-Identifier: Apache-2.0
"""The floor in a depth image: the dominant level plane below the camera.

Neighbouring samples give local normals; those that are nearly vertical belong to floors, tables and
steps. With their mean direction, the heights of their samples have peaks, of which the one of the
largest area is the floor. An M-estimator with Tukey's biweight then fits the plane to all samples.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.core.camera import Camera
from pear_ros.core.ground import GroundPlane
from pear_ros.core.people import Array

Doubles = npt.NDArray[np.float64]

_SAMPLES = (60, 80)
"""Rows and columns of the grid of samples, at most."""
_NEAREST, _FURTHEST = 0.3, 8.0
"""Depth of samples that are used, metres; beyond, the noise of depth cameras hides the normals."""
_MIN_KNOWN = 0.25
"""Least share of the pixels of a sample whose depth is known."""
_REACH = 2
"""Samples to each side over which local normals are taken: noise would turn those of neighbours."""
_MAX_TILT = np.radians(35.0)
"""Greatest angle of a local normal to the expected vertical, radians."""
_MIN_HEIGHT = 0.2
"""Least height of the camera above a floor, metres."""
_BIN = 0.05
"""Width of the bins of heights, metres."""
_NOISE = 0.01
"""Standard deviation of samples about the plane at one metre, metres; it grows with the square of
distance, but only the part along the normal counts."""
_TUKEY_CUTOFF = 3.0
"""Standard deviations at which Tukey's biweight becomes zero."""
_FIRST_WIDER = 4.0
"""Factor on this at first, as the start is rough."""
_ITERATIONS = 10
_MIN_LEVEL = 40
"""Least number of samples of a floor."""
_MIN_SHARE = 0.05
"""Least share of a floor among all known samples."""
_MAX_STRAY = np.radians(15.0)
"""Greatest angle of the fitted normal to the mean of the local ones, radians."""
_INDEPENDENT = 20.0
"""Samples that are as good as one independent one: errors of depth cameras are correlated."""
_MIN_TILT_STD = np.radians(0.4)
"""Least standard deviation of a fitted normal, radians: calibration of the depth camera."""
_MIN_HEIGHT_STD = 0.01
"""Least standard deviation of a fitted height, metres."""


def fit_floor(depth: Array, camera: Camera, up: Doubles) -> GroundPlane | None:
    """Return the floor in `depth` (height, width), metres, in the optical frame of `camera`.

    `up` (3,): about the direction upwards, within 35 degrees. None: no level plane below the camera
    is large enough.
    """
    points = _sampled(depth, camera)  # (R, C, 3)
    normals = _local_normals(points, up)
    z = points[..., 2]
    known = np.isfinite(z)
    level = known & (normals @ up > np.cos(_MAX_TILT))  # NaN is false.
    if level.sum() < _MIN_LEVEL:
        return None
    p, area = points[level], z[level] ** 2
    up = _mean_direction(normals[level], area)
    height = _dominant(-(p @ up), area)
    if height is None:
        return None
    return _fit(points[known], up, height)


def _sampled(depth: Array, camera: Camera) -> Doubles:
    """(R, C, 3) points on a grid, NaN where the depth is unknown: medians of blocks of pixels."""
    down, right = (max(1, -(-n // most)) for n, most in zip(depth.shape, _SAMPLES, strict=True))
    rows, columns = depth.shape[0] // down, depth.shape[1] // right
    blocks = depth[: rows * down, : columns * right].reshape(rows, down, columns, right)
    values = blocks.swapaxes(1, 2).reshape(rows, columns, down * right).astype(np.float32)
    values[~((values > _NEAREST) & (values < _FURTHEST))] = np.nan
    known = np.isfinite(values).sum(axis=2)
    values.sort(axis=2)  # NaN comes last.
    middle = np.maximum(known - 1, 0) // 2
    z = np.take_along_axis(values, middle[..., None], axis=2)[..., 0].astype(np.float64)
    z[known < _MIN_KNOWN * down * right] = np.nan
    u = right * np.arange(columns) + (right - 1) / 2.0
    v = down * np.arange(rows) + (down - 1) / 2.0
    pixels = np.stack(np.meshgrid(u, v), axis=-1).astype(np.float32)
    return np.concatenate([camera.rays(pixels) * z[..., None], z[..., None]], axis=-1)


def _local_normals(points: Doubles, up: Doubles) -> Doubles:
    """(R, C, 3) unit normals of the surface at each point, towards `up`; NaN where unknown."""
    normals = np.full_like(points, np.nan)
    n = _REACH
    if min(points.shape[:2]) <= 2 * n:
        return normals
    across = points[n:-n, 2 * n :] - points[n:-n, : -2 * n]
    along = points[2 * n :, n:-n] - points[: -2 * n, n:-n]
    inner = np.cross(across, along)
    with np.errstate(invalid="ignore", divide="ignore"):
        inner /= np.linalg.norm(inner, axis=-1, keepdims=True)
    normals[n:-n, n:-n] = np.where((inner @ up)[..., None] < 0.0, -inner, inner)
    return normals


def _mean_direction(normals: Doubles, weights: Doubles) -> Doubles:
    """(3,) robust mean of unit vectors (K, 3)."""
    mean = np.median(normals, axis=0)
    for _ in range(_ITERATIONS):
        mean /= np.linalg.norm(mean)
        near = weights / (1.0 + (np.linalg.norm(normals - mean, axis=1) / 0.1) ** 2)
        mean = near @ normals
    return np.asarray(mean / np.linalg.norm(mean))


def _dominant(heights: Doubles, area: Doubles) -> float | None:
    """Height of the camera above the level surface of the largest area; None: all are above it."""
    below = heights > _MIN_HEIGHT
    if below.sum() < _MIN_LEVEL:
        return None
    bins = (heights[below] / _BIN).astype(np.intp)
    counts = np.bincount(bins, area[below])
    smooth = np.convolve(counts, (0.25, 0.5, 0.25), mode="same")
    return float((smooth.argmax() + 0.5) * _BIN)


def _fit(points: Doubles, up: Doubles, height: float) -> GroundPlane | None:
    """Plane near the start; None if too few of the known `points` (K, 3) are on it."""
    d = np.linalg.norm(points, axis=1)
    start = up
    for step in range(_ITERATIONS):
        residual = points @ up + height
        # Depth errors grow with d^2 along the ray; the plane sees the part along its normal.
        sigma = _NOISE * np.maximum(d * np.abs(points @ up), 0.5)
        wider = max(_FIRST_WIDER * (1.0 - step / 4.0), 1.0)
        e = residual / (wider * sigma)
        w = np.where(np.abs(e) < _TUKEY_CUTOFF, (1.0 - (e / _TUKEY_CUTOFF) ** 2) ** 2, 0.0)
        on = w > 0.0
        if on.sum() < max(_MIN_LEVEL, _MIN_SHARE * len(points)):
            return None
        w /= sigma**2
        mean = w @ points / w.sum()
        centred = points[on] - mean
        scatter = (centred * w[on, None]).T @ centred
        values, vectors = np.linalg.eigh(scatter)
        normal = vectors[:, 0] if vectors[:, 0] @ up > 0.0 else -vectors[:, 0]
        up, height = normal, -float(normal @ mean)
    # The tilt about the axis along which the samples are spread least is the least certain.
    spread = _INDEPENDENT / max(float(values[1]), 1e-9)
    tilt_std = float(max(spread**0.5, _MIN_TILT_STD))
    # Only the error at the samples' mean is independent of the tilt's.
    height_std = max(float((_INDEPENDENT / w.sum()) ** 0.5), _MIN_HEIGHT_STD)
    # Of a narrow strip of floor before a wall, the fit may end on the wall.
    strayed = start @ up < np.cos(_MAX_STRAY)
    if height < _MIN_HEIGHT or tilt_std > _MAX_TILT or strayed:
        return None
    return GroundPlane(up, height, tilt_std, height_std)
