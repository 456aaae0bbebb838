# SPDX-License-Identifier: Apache-2.0
"""The pelvis's path on which feet in contact neither slide nor sink.

For each axis, the correction c of the smoothed path is the least squares solution (T,) of

    sum_t  m c_t^2  +  a (c_t+1 - 2 c_t + c_t-1)^2
         + sum_k  p_k (c_t+1 - c_t + d_k)^2 s        of the two horizontal axes
         + sum_k  p_k (c_t + z_k)^2 h                of the vertical axis

p_k: probability that sole k is in contact, d_k: how far it moves between two frames, z_k: its
height; m, a, s, h: inverse variances of the path, of its acceleration, of sliding and of height.
This is the maximum a posteriori estimate under normal errors. The matrix is banded (Cholesky).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import solveh_banded

Doubles = npt.NDArray[np.float64]

_ACROSS_STD, _ALONG_STD = 0.03, 0.12
"""Error of the path across and along the line of sight, metres."""
_CORRELATION_TIME = 0.5
"""Time over which it is correlated, seconds."""
_ACCELERATION_STD = 3.0
"""Acceleration of the correction, m/s^2."""
_SLIDING_STD = 0.6
"""Speed of a sole in contact, m/s."""
_HEIGHT_STD = 0.02
"""Height of a sole in contact, metres; correlated over 0.1 s."""
_HEIGHT_CORRELATION = 0.1
_SURE = 0.5
"""Probability of contact from which on a sole holds the path."""


def corrected_path(
    pelvis: Doubles,
    pelvis_std: Doubles,
    soles: Doubles,
    contact: Doubles,
    camera: Doubles,
    rate: int,
) -> Doubles:
    """Return the pelvis (T, 3) in a world with z up, of smoothed positions `pelvis` (T, 3), metres.

    `pelvis_std` (T, 3); `soles` (T, 4, 3); `contact` (T, 4): probabilities; `camera` (3,).
    """
    dt = 1.0 / rate
    sight = (pelvis - camera) / np.linalg.norm(pelvis - camera, axis=1, keepdims=True)
    variance = _ACROSS_STD**2 + (_ALONG_STD**2 - _ACROSS_STD**2) * sight**2 + pelvis_std**2
    m = dt / (2.0 * _CORRELATION_TIME * variance)  # (T, 3)
    held = np.where(contact >= _SURE, contact, 0.0)  # (T, 4)
    both = np.minimum(held[1:], held[:-1]) / (_SLIDING_STD * dt) ** 2
    moved = np.diff(soles, axis=0)  # (T - 1, 4, 3)
    path = pelvis.copy()
    for axis in range(3):
        matrix, right = _smooth_matrix(m[:, axis], dt)
        if axis < 2:
            _add_steps(matrix, right, both.sum(axis=1), (both * moved[..., axis]).sum(axis=1))
        else:
            h = held * dt / (_HEIGHT_CORRELATION * _HEIGHT_STD**2)
            below = (soles[..., 2] < 0.0) & (held == 0.0)
            h = np.where(below, dt / (_HEIGHT_CORRELATION * _HEIGHT_STD**2), h)
            matrix[0] += h.sum(axis=1)
            right -= (h * soles[..., 2]).sum(axis=1)
        path[:, axis] += solveh_banded(matrix, right, lower=True)
    return path


def _smooth_matrix(m: Doubles, dt: float) -> tuple[Doubles, Doubles]:
    """Lower bands (3, T) of the matrix of the path and its acceleration, and a zero right side."""
    count = len(m)
    bands = np.zeros((3, count))
    bands[0] = m
    a = 1.0 / (_ACCELERATION_STD * dt**2) ** 2
    second = (1.0, -2.0, 1.0)
    for i in range(3):
        for j in range(i + 1):
            if count > 2:
                bands[i - j, j : j + count - 2] += a * second[i] * second[j]
    return bands, np.zeros(count)


def _add_steps(bands: Doubles, right: Doubles, weight: Doubles, weighted: Doubles) -> None:
    """Add sum weight (c_t+1 - c_t)^2 + 2 weighted (c_t+1 - c_t), both (T - 1,), in place."""
    bands[0, 1:] += weight
    bands[0, :-1] += weight
    bands[1, :-1] -= weight
    right[1:] -= weighted
    right[:-1] += weighted
