# SPDX-License-Identifier: Apache-2.0
"""The continuous 6D representation of rotations (Zhou et al., CVPR 2019)."""

from __future__ import annotations

from pear_ros.body.kinematics import Tensor, namespace

_SHORTEST = 1e-12
"""Least length by which a vector is divided to normalise it."""


def matrices_from_6d(values: Tensor) -> Tensor:
    """Return rotation matrices (..., 3, 3) of `values` (..., 6), NumPy arrays or torch tensors.

    Gram-Schmidt: x = a / |a|, y = (b - (x.b) x) / |...|, z = x cross y, with a and b the first and
    the last three numbers; x, y and z are the columns. Parallel or zero a and b give finite numbers
    that are no rotation.
    """
    xp = namespace(values)
    first, second = values[..., :3], values[..., 3:]
    x = _unit(first)
    y = _unit(second - xp.linalg.vecdot(x, second)[..., None] * x)
    return xp.stack([x, y, xp.linalg.cross(x, y)], axis=-1)


def _unit(vectors: Tensor) -> Tensor:
    xp = namespace(vectors)
    length = xp.linalg.vector_norm(vectors, axis=-1, keepdims=True)
    return vectors / xp.clip(length, min=_SHORTEST)
