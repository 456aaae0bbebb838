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
    level = normals @ up > np.cos(_MAX_TILT)  # NaN is false.
    z = points[..., 2]
    known = np.isfinite(z)
    if level.sum() < _MIN_LEVEL:
        return None
    p, area = points[level], z[level] ** 2
    up = _mean_direction(normals[level], area)
    height = _dominant(-(p @ up), area)
    if height is None:
        return None
    return _fit(points[known], up, height)


def _sampled(depth: Array, camera: Camera) -> Doubles:
    """(R, C, 3) points on a grid, NaN where the depth is unknown."""
    down, right = (max(1, -(-n // most)) for n, most in zip(depth.shape, _SAMPLES, strict=True))
    rows = np.arange(down // 2, depth.shape[0], down)
    columns = np.arange(right // 2, depth.shape[1], right)
    z = depth[np.ix_(rows, columns)].astype(np.float64)
    z[~((z > _NEAREST) & (z < _FURTHEST))] = np.nan
    pixels = np.stack(np.meshgrid(columns, rows), axis=-1).astype(np.float32)
    return np.concatenate([camera.rays(pixels) * z[..., None], z[..., None]], axis=-1)


def _local_normals(points: Doubles, up: Doubles) -> Doubles:
    """(R, C, 3) unit normals of the surface at each point, towards `up`; NaN where unknown."""
    normals = np.full_like(points, np.nan)
    # Over two samples, as the noise of neighbours would turn the normals.
    across = points[1:-1, 2:] - points[1:-1, :-2]
    along = points[2:, 1:-1] - points[:-2, 1:-1]
    inner = np.cross(across, along)
    with np.errstate(invalid="ignore", divide="ignore"):
        inner /= np.linalg.norm(inner, axis=-1, keepdims=True)
    normals[1:-1, 1:-1] = np.where((inner @ up)[..., None] < 0.0, -inner, inner)
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
    tilt_std = max(float(spread**0.5), _MIN_TILT_STD)
    # Only the error at the samples' mean is independent of the tilt's.
    height_std = max(float((_INDEPENDENT / w.sum()) ** 0.5), _MIN_HEIGHT_STD)
    if height < _MIN_HEIGHT or tilt_std > _MAX_TILT:
        return None
    return GroundPlane(up, height, tilt_std, height_std)
