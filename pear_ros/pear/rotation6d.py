# SPDX-License-Identifier: Apache-2.0
"""Rotations as six numbers, continuous and so easier to learn (Zhou et al., CVPR 2019)."""

from __future__ import annotations

from pear_ros.body.kinematics import Tensor, namespace

_SHORTEST = 1e-12
"""Vectors shorter than this are not brought to unit length: no direction can be read from them."""


def matrices_from_6d(values: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of `values` (..., 6), NumPy arrays or torch tensors.

    The first three numbers are turned into the matrix' first column, the last three into its second
    (Gram-Schmidt). Parallel or zero vectors give finite numbers that are no rotation.
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
