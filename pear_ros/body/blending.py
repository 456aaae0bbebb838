# SPDX-License-Identifier: Apache-2.0
"""Blend shapes: a few coefficients of each person times directions of vertices or of joints.

Works on NumPy arrays and on torch tensors alike, batched over people.
"""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from pear_ros.body.kinematics import AsArray, Tensor, float32_array


class Directions:
    """Offsets of V vertices per unit of each of K coefficients."""

    def __init__(self, directions: npt.NDArray[Any], asarray: AsArray = float32_array) -> None:
        """`directions` (V, 3, K)."""
        vertices, axes, coefficients = directions.shape
        self._planes = (axes, vertices)
        by_coefficient = directions.transpose(2, 1, 0).reshape(coefficients, -1)
        self._matrix = asarray(by_coefficient)

    def __call__(self, coefficients: Tensor) -> Tensor:
        """(B, 3, V) the offsets, plane by plane, for `coefficients` (B, K)."""
        return (coefficients @ self._matrix).reshape(len(coefficients), *self._planes)


class RestPoints:
    """P points, such as joints, that are regressed from a shaped mesh.

    They are linear in the coefficients, so that no mesh is needed to know where they are.
    """

    def __init__(
        self,
        template: npt.NDArray[Any],
        directions: npt.NDArray[Any],
        asarray: AsArray = float32_array,
    ) -> None:
        """`template` (P, 3) and `directions` (P, 3, K) of the points themselves."""
        self._template = asarray(template)
        self._directions = asarray(directions.reshape(-1, directions.shape[2]).T)

    def __call__(self, coefficients: Tensor) -> Tensor:
        """(B, P, 3) for `coefficients` (B, K)."""
        moved = coefficients @ self._directions
        return self._template + moved.reshape(len(coefficients), *self._template.shape)
