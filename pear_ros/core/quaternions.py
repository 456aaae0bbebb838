# SPDX-License-Identifier: Apache-2.0
"""Rotations as unit quaternions (..., 4), x y z w: fast for some dozens at a time.

SciPy's Rotation is made for thousands, and spends many times as long on so few.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

_TINY = 1e-300
"""Added to squares, so that nothing is divided by zero."""


def _hamilton() -> Doubles:
    """(16, 4) by which the products of all parts of two quaternions add up to their product."""
    i, j, k, one = range(4)
    table = np.zeros((4, 4, 4))
    for part in range(4):
        table[one, part, part] = table[part, one, part] = 1.0
    for first, second, third in ((i, j, k), (j, k, i), (k, i, j)):
        table[first, second, third], table[second, first, third] = 1.0, -1.0
        table[first, first, one] = -1.0
    return table.reshape(16, 4)


_PRODUCT = _hamilton()
_INVERTED_PRODUCT = (_PRODUCT.reshape(4, 4, 4) * [[[-1.0]], [[-1.0]], [[-1.0]], [[1.0]]]).reshape(
    16, 4
)


def product(first: Doubles, second: Doubles) -> Doubles:
    """The rotation by `second`, then by `first`."""
    return _combined(first, second, _PRODUCT)


def difference(start: Doubles, end: Doubles) -> Doubles:
    """What `start` must be followed by, in its own frame, to be `end`: start^-1 end."""
    return _combined(start, end, _INVERTED_PRODUCT)


def from_vectors(vectors: npt.NDArray[np.floating]) -> Doubles:
    """Of rotation vectors (..., 3) of any length."""
    half = 0.5 * np.sqrt(np.einsum("...i,...i->...", vectors, vectors, dtype=np.float64) + _TINY)
    rotations = np.empty((*vectors.shape[:-1], 4))
    rotations[..., :3] = (0.5 * np.sin(half) / half)[..., None] * vectors
    rotations[..., 3] = np.cos(half)
    return rotations


def to_vectors(rotations: Doubles) -> Doubles:
    """(..., 3) rotation vectors, at most half a turn; the quaternion's sign is of no matter."""
    axis, cosine = rotations[..., :3], rotations[..., 3]
    sine = np.sqrt(np.einsum("...i,...i->...", axis, axis) + _TINY)
    half = np.arctan2(sine, np.abs(cosine))
    vectors: Doubles = np.copysign(2.0 * half / sine, cosine)[..., None] * axis
    return vectors


def _combined(first: Doubles, second: Doubles, table: Doubles) -> Doubles:
    parts = first[..., :, None] * second[..., None, :]
    combined: Doubles = parts.reshape(*parts.shape[:-2], 16) @ table
    return combined
