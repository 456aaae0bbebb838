# SPDX-License-Identifier: Apache-2.0
"""The fit of pear_ros.pear.placement in compiled code, one person after the other.

Numba compiles this module when it is imported for the first time, which takes seconds, and caches
the result on disk: beside this file or, if that cannot be written, in the user's cache directory.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

Doubles = npt.NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy")
def _look(u: float, v: float, R: Doubles) -> None:
    """Set `R` (3, 3) to the shortest rotation from the optical axis to the ray (u, v, 1)."""
    z = 1.0 / np.sqrt(1.0 + u * u + v * v)
    x, y = u * z, v * z
    s = 1.0 / (1.0 + z)
    R[0, 0], R[0, 1], R[0, 2] = 1.0 - x * x * s, -x * y * s, x
    R[1, 0], R[1, 1], R[1, 2] = -x * y * s, 1.0 - y * y * s, y
    R[2, 0], R[2, 1], R[2, 2] = -x, -y, z


@njit(cache=True, nogil=True, error_model="numpy")
def _translation(points: Doubles, rays: Doubles, weight: Doubles, t: Doubles) -> None:
    """Set `t` (3,) to the linear regression of x + t_x = u (z + t_z), y + t_y = v (z + t_z)."""
    total, mean = 0.0, np.zeros(4)  # of u, v and of the targets of t_x and t_y
    for n in range(len(points)):
        u, v, w = rays[n, 0], rays[n, 1], weight[n]
        total += w
        mean[0] += w * u
        mean[1] += w * v
        mean[2] += w * (u * points[n, 2] - points[n, 0])
        mean[3] += w * (v * points[n, 2] - points[n, 1])
    t[:] = np.nan
    if not total > 0.0:
        return
    mean /= total
    spread, along = 0.0, 0.0
    for n in range(len(points)):
        u, v = rays[n, 0] - mean[0], rays[n, 1] - mean[1]
        spread += weight[n] * (u * u + v * v)
        along += weight[n] * u * (mean[2] - (rays[n, 0] * points[n, 2] - points[n, 0]))
        along += weight[n] * v * (mean[3] - (rays[n, 1] * points[n, 2] - points[n, 1]))
    if spread > 0.0:
        t[2] = along / spread
        t[0], t[1] = mean[2] + mean[0] * t[2], mean[3] + mean[1] * t[2]


@njit(cache=True, nogil=True, error_model="numpy")
def _normal_equations(
    offsets: Doubles,
    pelvis: Doubles,
    rays: Doubles,
    weight: Doubles,
    lever: float,
    nearest: float,
    H: Doubles,
    g: Doubles,
) -> None:
    """Set the lower triangle of `H` (6, 6) and `g` (6,) to J' W J + D and J' W r."""
    H[:] = 0.0
    g[:] = 0.0
    row, total = np.zeros(6), 0.0
    for n in range(len(offsets)):
        w = weight[n]
        total += w
        x, y, z = offsets[n, 0], offsets[n, 1], offsets[n, 2]
        depth = max(z + pelvis[2], nearest)
        for i in range(2):
            flat = (offsets[n, i] + pelvis[i]) / depth
            # The derivative of x/z or y/z: a small rotation a moves an offset r by a x r.
            if i == 0:
                row[0], row[1], row[2] = -flat * y, z + flat * x, -y
            else:
                row[0], row[1], row[2] = -z - flat * y, flat * x, x
            row[3 + i], row[4 - i], row[5] = 1.0, 0.0, -flat
            residual = rays[n, i] - flat
            for k in range(6):
                g[k] += w * row[k] / depth * residual
                for q in range(k + 1):
                    H[k, q] += w * row[k] * row[q] / (depth * depth)
    for k in range(3):
        H[k, k] += lever * lever * total / (pelvis[2] * pelvis[2])


@njit(cache=True, nogil=True, error_model="numpy")
def _solve(H: Doubles, g: Doubles) -> None:
    """Replace `g` (6,) by H^-1 g, by the Cholesky factorisation in place; NaN if there is none."""
    for i in range(6):
        for j in range(i + 1):
            value = H[i, j]
            for k in range(j):
                value -= H[i, k] * H[j, k]
            if i > j:
                H[i, j] = value / H[j, j]
            elif value > 0.0:
                H[i, i] = np.sqrt(value)
            else:
                g[:] = np.nan
                return
        for k in range(i):
            g[i] -= H[i, k] * g[k]
        g[i] /= H[i, i]
    for i in range(5, -1, -1):
        for k in range(i + 1, 6):
            g[i] -= H[k, i] * g[k]
        g[i] /= H[i, i]


@njit(cache=True, nogil=True, error_model="numpy")
def _rotate_by(R: Doubles, v: Doubles, out: Doubles) -> None:
    """Set `out` (3, 3) to R exp(v), by Rodrigues' formula; v (3,) in radians."""
    square = v[0] * v[0] + v[1] * v[1] + v[2] * v[2]
    half = np.sqrt(0.25 * square + 1e-12)
    share = np.sin(half) / half
    s, c = share * np.cos(half), 0.5 * share * share
    cosine = 1.0 - c * square
    for i in range(3):
        along = c * (R[i, 0] * v[0] + R[i, 1] * v[1] + R[i, 2] * v[2])
        for k in range(3):
            a, b = (k + 1) % 3, (k + 2) % 3
            out[i, k] = cosine * R[i, k] + s * (R[i, a] * v[b] - R[i, b] * v[a]) + along * v[k]


@njit(
    "void(float64[:, :, ::1], float64[:, :, ::1], float64[::1], int64, float64, float64,"
    " float64[:, :, ::1], float64[:, ::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def fit(
    joints: Doubles,
    flat: Doubles,
    weights: Doubles,
    fewest: int,
    lever: float,
    nearest: float,
    rotation: Doubles,
    transl: Doubles,
) -> None:
    """Set `rotation` (B, 3, 3) and `transl` (B, 3), as pear_ros.pear.placement.place_people does.

    `joints` (B, N, 3), pelvis first, in the network's frame, metres; `flat` (B, 1 + N, 2): rays of
    the crop's centre and of the joints, NaN without one; `weights` (N,); `fewest` joints, `lever`
    and `nearest` in metres: its constants.
    """
    count = len(weights)
    R, t, pelvis = np.empty((3, 3)), np.empty(3), np.empty(3)
    rays, weight, offsets = np.zeros((count, 2)), np.empty(count), np.empty((count, 3))
    scaled, H, step = np.empty(count), np.empty((6, 6)), np.empty(6)
    for b in range(len(joints)):
        points = joints[b]
        rotation[b] = np.nan
        transl[b] = np.nan
        _look(flat[b, 0, 0], flat[b, 0, 1], R)
        seen = 0
        for n in range(count):
            u, v = flat[b, 1 + n, 0], flat[b, 1 + n, 1]
            weight[n] = 0.0
            if np.isfinite(u) and np.isfinite(v):
                # In the frame of a camera that looks at the crop's centre, as the network's does.
                z = u * R[0, 2] + v * R[1, 2] + R[2, 2]
                for i in range(2):
                    rays[n, i] = (u * R[0, i] + v * R[1, i] + R[2, i]) / z
                weight[n] = weights[n]
                seen += 1
        if seen < fewest:
            continue
        _translation(points, rays, weight, t)
        for n in range(count):
            scaled[n] = weight[n] / max(points[n, 2] + t[2], nearest) ** 2
        _translation(points, rays, scaled, t)
        for i in range(3):
            pelvis[i] = points[0, i] + t[i]
            for n in range(count):
                offsets[n, i] = points[n, i] - points[0, i]
        _normal_equations(offsets, pelvis, rays, weight, lever, nearest, H, step)
        _solve(H, step)
        _rotate_by(R, step[:3], rotation[b])
        for i in range(3):
            transl[b, i] = -points[0, i]
            for k in range(3):
                transl[b, i] += R[i, k] * (pelvis[k] + step[3 + k])
