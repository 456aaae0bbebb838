# SPDX-License-Identifier: Apache-2.0
"""Blend shapes: a few coefficients of each person times directions of every vertex."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from pear_ros.body.kinematics import AsArray, Tensor, float32_array


class Directions:
    """Offsets of V vertices per unit of each of K coefficients, batched over people."""

    def __init__(self, directions: npt.NDArray[Any], asarray: AsArray = float32_array) -> None:
        """`directions` (V, 3, K)."""
        vertices, axes, coefficients = directions.shape
        self._planes = (axes, vertices)
        by_coefficient = directions.transpose(2, 1, 0).reshape(coefficients, -1)
        self._matrix = asarray(by_coefficient)

    def __call__(self, coefficients: Tensor) -> Tensor:
        """(B, 3, V) the offsets, plane by plane, for `coefficients` (B, K)."""
        return (coefficients @ self._matrix).reshape(len(coefficients), *self._planes)
