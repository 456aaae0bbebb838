# SPDX-License-Identifier: Apache-2.0
"""PackedSkin: blend shapes and skinning in one pass over the vertices, compiled for CPUs.

A body with hundreds of directions is bound by memory bandwidth: here they are read once for four
people, in 16 bits (each coefficient and each coordinate of each vertex with a scale of its own;
errors of micrometres for SMPL-X), and no intermediate result is written. The function is that of
pear_ros.body.skinning. Numba compiles it when this module is imported for the first time, which
takes seconds, and caches the result.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from pear_ros.body.kinematics import Array

_VERTICES = 64
"""Vertices of a block: its directions stay in a core's cache."""
_COLUMNS = 3 * _VERTICES
_PEOPLE = 4
"""People computed at once."""
_STEPS = 32767.0
"""Greatest magnitude of the quantised directions."""

# Numba's workqueue threading layer aborts the process when two threads use it at once.
_lock = threading.Lock()


class PackedSkin:
    """A Skin (pear_ros.body.skinning) with quantised directions."""

    def __init__(self, directions: npt.NDArray[Any], weights: npt.NDArray[Any]) -> None:
        """Quantise `directions` (V, 3, K); `weights` (V, J) are skinning weights, rows sum to 1."""
        vertices, _, coefficients = directions.shape
        blocks = -(-vertices // _VERTICES)
        # Coefficients in fours and whole blocks, filled up with zeros.
        padded = np.zeros((-(-coefficients // 4) * 4, blocks * _VERTICES, 3))
        padded[:coefficients, :vertices] = directions.transpose(2, 0, 1)
        planes = padded.reshape(-1, blocks, _VERTICES, 3).swapaxes(2, 3)
        matrix: Any = planes.reshape(len(planes), -1)
        per_coefficient = _greatest(matrix, axis=1)
        matrix = matrix / per_coefficient
        per_column = _greatest(matrix, axis=0) / _STEPS
        steps = np.rint(matrix / per_column).astype(np.int16)
        self._steps = np.ascontiguousarray(steps.reshape(-1, blocks, _COLUMNS).swapaxes(0, 1))
        # Of each block, the number of coefficients up to the last that moves it, in fours.
        moving = (self._steps != 0).any(axis=2) * np.arange(1, self._steps.shape[1] + 1)
        self._used = -(-moving.max(axis=1, initial=0) // 4) * 4
        self._per_coefficient = per_coefficient[:coefficients, 0].astype(np.float32)
        self._per_column = per_column.reshape(blocks, _COLUMNS).astype(np.float32)
        most = int((weights > 0.0).sum(axis=1).max())
        joints = np.argsort(-weights, axis=1, kind="stable")[:, :most]
        self._joints = np.ascontiguousarray(joints, np.int32)
        self._weights = np.take_along_axis(weights, joints, axis=1).astype(np.float32)

    def __call__(self, coefficients: Array, template: Array, transforms: Array) -> Array:
        """Return the posed vertices (B, 3, V), metres; all arrays are float32.

        `coefficients` (B, K), `template` (B or 1, 3, V), `transforms` (B, J, 3, 4).
        """
        people, count = coefficients.shape
        scaled = np.zeros((people, self._steps.shape[1]), np.float32)
        scaled[:, :count] = coefficients * self._per_coefficient
        moved = np.empty((people, 3, len(self._joints)), np.float32)
        flat = np.ascontiguousarray(transforms).reshape(*transforms.shape[:2], 12)
        with _lock:
            _move(
                *(scaled, self._steps, self._used, self._per_column, template),
                *(self._joints, self._weights, flat, moved),
            )
        return moved


def _greatest(matrix: npt.NDArray[np.float64], axis: int) -> npt.NDArray[np.float64]:
    """Return the greatest magnitude along an axis, which is kept; 1 where all are 0."""
    greatest = np.abs(matrix).max(axis=axis, keepdims=True)
    return np.where(greatest > 0.0, greatest, 1.0)


# The innermost loops are written so that LLVM vectorises them.


@njit(fastmath=True, cache=True)
def _blend_one(person: Array, steps: npt.NDArray[np.int16], sums: Array) -> None:
    """Set `sums` (_COLUMNS,) to a block's `steps` (K, _COLUMNS) times coefficients (K,)."""
    total = np.zeros(_COLUMNS, np.float32)
    for k in range(0, len(person), 4):
        a, b, c, d = person[k], person[k + 1], person[k + 2], person[k + 3]
        first, second, third, fourth = steps[k], steps[k + 1], steps[k + 2], steps[k + 3]
        for column in range(_COLUMNS):
            total[column] += (
                a * np.float32(first[column])
                + b * np.float32(second[column])
                + (c * np.float32(third[column]) + d * np.float32(fourth[column]))
            )
    sums[:] = total


@njit(fastmath=True, cache=True)
def _blend_four(people: Array, steps: npt.NDArray[np.int16], sums: Array) -> None:
    """Set `sums` (4, _COLUMNS) to a block's `steps` (K, _COLUMNS) times coefficients (4, K)."""
    totals = np.zeros((_PEOPLE, _COLUMNS), np.float32)
    total_a, total_b, total_c, total_d = totals[0], totals[1], totals[2], totals[3]
    a, b, c, d = people[0], people[1], people[2], people[3]
    for k in range(0, people.shape[1], 2):
        even, odd = steps[k], steps[k + 1]
        for column in range(_COLUMNS):
            s, t = np.float32(even[column]), np.float32(odd[column])
            total_a[column] += a[k] * s + a[k + 1] * t
            total_b[column] += b[k] * s + b[k + 1] * t
            total_c[column] += c[k] * s + c[k + 1] * t
            total_d[column] += d[k] * s + d[k + 1] * t
    sums[:] = totals


@njit(
    "void(float32[:, ::1], int16[:, :, ::1], int64[::1], float32[:, ::1], float32[:, :, :],"
    "int32[:, ::1], float32[:, ::1], float32[:, :, ::1], float32[:, :, ::1])",
    parallel=True,
    fastmath=True,
    cache=True,
)
def _move(
    coefficients: Array,
    steps: npt.NDArray[np.int16],
    used: npt.NDArray[np.int64],
    per_column: Array,
    template: Array,
    joints: npt.NDArray[np.int32],
    weights: Array,
    transforms: Array,
    moved: Array,
) -> None:
    """Blend and skin block by block into `moved` (B, 3, V); arguments as in PackedSkin."""
    people = len(coefficients)
    fours = people - people % _PEOPLE
    for block in prange(len(steps)):
        sums = np.empty((people, _COLUMNS), np.float32)
        count = used[block]
        for first in range(0, fours, _PEOPLE):
            group = slice(first, first + _PEOPLE)
            _blend_four(coefficients[group, :count], steps[block], sums[group])
        for person in range(fours, people):
            _blend_one(coefficients[person, :count], steps[block], sums[person])
        blended = np.empty(12, np.float32)
        first_vertex = block * _VERTICES
        for person in range(people):
            for n in range(min(_VERTICES, len(joints) - first_vertex)):
                vertex = first_vertex + n
                start = template[person if len(template) > 1 else 0]
                blended[:] = 0.0
                for influence in range(joints.shape[1]):
                    weight = weights[vertex, influence]
                    transform = transforms[person, joints[vertex, influence]]
                    for entry in range(12):
                        blended[entry] += weight * transform[entry]
                y, z = n + _VERTICES, n + 2 * _VERTICES
                px = start[0, vertex] + per_column[block, n] * sums[person, n]
                py = start[1, vertex] + per_column[block, y] * sums[person, y]
                pz = start[2, vertex] + per_column[block, z] * sums[person, z]
                for axis in range(3):
                    x = 4 * axis
                    moved[person, axis, vertex] = (
                        blended[x] * px + blended[x + 1] * py + blended[x + 2] * pz + blended[x + 3]
                    )
