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
    # Coordinates first, (6, N): each step is one operation on long rows.
    planes = values.reshape(-1, 6).T
    first, second = planes[:3], planes[3:]
    x = _unit(first)
    y = _unit(second - (x * second).sum(0) * x)
    round_x, round_y = (xp.concat([axis, axis[:2]]) for axis in (x, y))
    z = round_x[1:4] * round_y[2:] - round_x[2:] * round_y[1:4]
    columns = xp.concat([x, y, z])  # (9, N)
    return columns.T.reshape(*values.shape[:-1], 3, 3).swapaxes(-1, -2)


def _unit(vectors: Tensor) -> Tensor:
    """Return vectors (3, N) over their lengths."""
    xp = namespace(vectors)
    length = xp.sqrt((vectors * vectors).sum(0))
    return vectors / xp.where(length > _SHORTEST, length, _SHORTEST)
