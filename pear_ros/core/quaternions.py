# SPDX-License-Identifier: Apache-2.0
"""Rotations as unit quaternions (..., 4) in the order x y z w, for batches of some dozens.

scipy.spatial.transform.Rotation is made for thousands of rotations and takes many times as long for
so few. Formulas: Solà, "Quaternion kinematics for the error-state Kalman filter", 2017.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

_TINY = 1e-300
"""Added to squared norms to avoid a division by zero."""


def _hamilton_table() -> Doubles:
    """(16, 4) coefficients: the outer product of two quaternions, flattened, to their product."""
    i, j, k, one = range(4)
    table = np.zeros((4, 4, 4))
    for part in range(4):
        table[one, part, part] = table[part, one, part] = 1.0
    for first, second, third in ((i, j, k), (j, k, i), (k, i, j)):
        table[first, second, third], table[second, first, third] = 1.0, -1.0
        table[first, first, one] = -1.0
    return table.reshape(16, 4)


_PRODUCT = _hamilton_table()
_CONJUGATE_PRODUCT = (_PRODUCT.reshape(4, 4, 4) * [[[-1.0]], [[-1.0]], [[-1.0]], [[1.0]]]).reshape(
    16, 4
)


def product(a: Doubles, b: Doubles) -> Doubles:
    """Return the Hamilton product a b (..., 4): the rotation `b` followed by the rotation `a`."""
    return _bilinear(a, b, _PRODUCT)


def difference(start: Doubles, end: Doubles) -> Doubles:
    """Return start^-1 end (..., 4): the rotation from `start` to `end` in the frame of `start`."""
    return _bilinear(start, end, _CONJUGATE_PRODUCT)


def from_vectors(vectors: npt.NDArray[np.floating]) -> Doubles:
    """Return quaternions (..., 4) of rotation vectors (..., 3), radians, of any length.

    The exponential map of SO(3).
    """
    half = 0.5 * np.sqrt(np.einsum("...i,...i->...", vectors, vectors, dtype=np.float64) + _TINY)
    rotations = np.empty((*vectors.shape[:-1], 4))
    rotations[..., :3] = (0.5 * np.sin(half) / half)[..., None] * vectors
    rotations[..., 3] = np.cos(half)
    return rotations


def to_vectors(rotations: Doubles) -> Doubles:
    """Return rotation vectors (..., 3), radians, of length at most pi, of quaternions (..., 4).

    The logarithm map of SO(3); q and -q give the same vector.
    """
    axis, cosine = rotations[..., :3], rotations[..., 3]
    sine = np.sqrt(np.einsum("...i,...i->...", axis, axis) + _TINY)
    half = np.arctan2(sine, np.abs(cosine))
    vectors: Doubles = np.copysign(2.0 * half / sine, cosine)[..., None] * axis
    return vectors


def _bilinear(a: Doubles, b: Doubles, table: Doubles) -> Doubles:
    """(..., 4) the bilinear map of quaternions (..., 4) whose coefficients are in a table."""
    outer = a[..., :, None] * b[..., None, :]  # (..., 4, 4)
    result: Doubles = outer.reshape(*outer.shape[:-2], 16) @ table
    return result


def to_matrices(rotations: Doubles) -> Doubles:
    """Return rotation matrices (..., 3, 3) of unit quaternions (..., 4)."""
    x, y, z, w = np.moveaxis(rotations, -1, 0)
    entries = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)),
        *(2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)),
        *(2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)),
    ]
    matrices: Doubles = np.stack(entries, axis=-1).reshape(*rotations.shape[:-1], 3, 3)
    return matrices


def from_matrix(rotation: Doubles) -> Doubles:
    """Return the unit quaternion (4,), w >= 0, of one rotation matrix (3, 3).

    From the largest of its components, which is never small (Shepperd, "Quaternion from rotation
    matrix", 1978).
    """
    trace = float(np.trace(rotation))
    squares = np.array([*rotation.diagonal(), trace])
    largest = int(squares.argmax())
    found = np.empty(4)
    if largest == 3:
        found[3] = 1.0 + trace
        found[:3] = (
            rotation[2, 1] - rotation[1, 2],
            rotation[0, 2] - rotation[2, 0],
            rotation[1, 0] - rotation[0, 1],
        )
    else:
        i, j, k = largest, (largest + 1) % 3, (largest + 2) % 3
        found[i] = 1.0 + rotation[i, i] - rotation[j, j] - rotation[k, k]
        found[j] = rotation[j, i] + rotation[i, j]
        found[k] = rotation[k, i] + rotation[i, k]
        found[3] = rotation[k, j] - rotation[j, k]
    unit: Doubles = found / np.linalg.norm(found)
    return -unit if unit[3] < 0.0 else unit


def slerp(start: Doubles, end: Doubles, share: float) -> Doubles:
    """Return the rotation (..., 4) at a `share` of the shortest way from `start` to `end`.

    Spherical linear interpolation (Shoemake, 1985).
    """
    return product(start, from_vectors(share * to_vectors(difference(start, end))))


def between(start: npt.ArrayLike, end: npt.ArrayLike) -> Doubles:
    """Return the rotation (4,) of least angle that turns the direction `start` (3,) to `end` (3,).

    Of opposite directions it is a half turn about any axis across them.
    """
    a, b = (np.asarray(one, np.float64) / np.linalg.norm(one) for one in (start, end))
    found = np.append(np.cross(a, b), 1.0 + a @ b)
    if np.linalg.norm(found) < 1e-6:
        found = np.append(np.cross(a, np.eye(3)[np.abs(a).argmin()]), 0.0)
    unit: Doubles = found / np.linalg.norm(found)
    return unit
