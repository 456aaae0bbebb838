# SPDX-License-Identifier: Apache-2.0
"""Blend shapes: coefficients of each person times directions of vertices or of joints.

Works on NumPy arrays and on torch tensors alike, batched over people.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from pear_ros.body.kinematics import AsArray, Tensor, float32_array


class Directions:
    """The blend shapes of V vertices: their offsets per unit of each of K coefficients."""

    def __init__(self, directions: npt.NDArray[Any], asarray: AsArray = float32_array) -> None:
        """Arrange the directions (V, 3, K), metres per unit, for one matrix product."""
        vertices, axes, coefficients = directions.shape
        self._planes = (axes, vertices)
        by_coefficient = directions.transpose(2, 1, 0).reshape(coefficients, -1)
        self._matrix = asarray(by_coefficient)

    def __call__(self, coefficients: Tensor) -> Tensor:
        """Return the offsets (B, 3, V), plane by plane, metres, for `coefficients` (B, K)."""
        return (coefficients @ self._matrix).reshape(len(coefficients), *self._planes)


class RestPoints:
    """P points, such as joints, regressed from a shaped mesh.

    They are linear in the coefficients, so that they are computed without the mesh.
    """

    def __init__(
        self,
        template: npt.NDArray[Any],
        directions: npt.NDArray[Any],
        asarray: AsArray = float32_array,
    ) -> None:
        """Take the points' own `template` (P, 3), metres, and `directions` (P, 3, K)."""
        self._template = asarray(template)
        self._directions = asarray(directions.reshape(-1, directions.shape[2]).T)

    def __call__(self, coefficients: Tensor) -> Tensor:
        """Return the points (B, P, 3), metres, for `coefficients` (B, K)."""
        moved = coefficients @ self._directions
        return self._template + moved.reshape(len(coefficients), *self._template.shape)
