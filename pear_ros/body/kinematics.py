# SPDX-License-Identifier: Apache-2.0
"""Rotations and forward kinematics of a joint tree, batched over people.

Works on NumPy arrays and on torch tensors of any precision and device, and returns the same kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace

Array = npt.NDArray[np.float32]

Tensor: TypeAlias = Any
"""A NumPy array or a torch tensor of floating-point numbers."""

AsArray: TypeAlias = Callable[[npt.NDArray[Any]], Tensor]
"""Converts a constant to an array of some precision, or to a tensor on a device; integers stay
integers."""

# Added to squared angles against division by zero; far below the resolution of float32.
_TINY = 1e-12


_namespaces: dict[type, Any] = {}


def namespace(tensor: Tensor) -> Any:
    """Return the array API namespace of a tensor, looked up once for each kind of tensor."""
    kind = type(tensor)
    if kind not in _namespaces:
        _namespaces[kind] = array_namespace(tensor)
    return _namespaces[kind]


def take(values: Tensor, indices: Tensor, axis: int) -> Tensor:
    """Return the entries of `values` at `indices` (n,), non-negative, along an axis."""
    if isinstance(values, np.ndarray):
        return values.take(indices, axis)
    # The array API's own function would first check for negative ones.
    return values.index_select(axis, indices)


def rotation_matrices(axis_angle: Tensor) -> Tensor:
    """Return rotation matrices (..., 3, 3) of axis-angle vectors v (..., 3), radians.

    Rodrigues' formula: R = cos(a) I + sin(a)/a [v]x + (1 - cos(a))/a^2 v v', a = |v|.
    """
    xp = namespace(axis_angle)
    square = (axis_angle * axis_angle).sum(-1)
    half = xp.sqrt(0.25 * square + _TINY)
    # sin(a)/a and (1 - cos(a))/a^2 by half the angle: no difference that cancels for small a.
    share = xp.sin(half) / half
    sine = share * xp.cos(half)
    versine = 0.5 * share * share
    cosine = 1.0 - versine * square
    left = sine[..., None] * axis_angle
    right = -left
    # Few large steps instead of many small ones, as each is a kernel on a GPU.
    entries = [
        *(cosine, right[..., 2], left[..., 1]),
        *(left[..., 2], cosine, right[..., 0]),
        *(right[..., 1], left[..., 0], cosine),
    ]
    turned = xp.stack(entries, axis=-1).reshape(*axis_angle.shape, 3)
    return turned + (versine[..., None] * axis_angle)[..., None] * axis_angle[..., None, :]


def as_matrices(pose: Tensor) -> Tensor:
    """Return the rotation matrices (B, J, 3, 3) of a pose, axis-angle (B, J, 3) or matrices."""
    return pose if pose.ndim == 4 else rotation_matrices(pose)


def rotation_vectors(matrices: Array) -> Array:
    """Return axis-angle vectors (..., 3), radians, of rotation matrices (..., 3, 3).

    The inverse of `rotation_matrices` for angles below about 3.1 radians; beyond, rounding destroys
    the axis. SciPy's Rotation is exact everywhere and some ten times slower. NumPy only.
    """
    opposite = matrices - matrices.swapaxes(-1, -2)
    axis = np.stack([opposite[..., 2, 1], opposite[..., 0, 2], opposite[..., 1, 0]], axis=-1) / 2
    sine = np.sqrt(np.einsum("...i,...i->...", axis, axis))
    cosine = (np.einsum("...ii->...", matrices) - 1.0) / 2.0
    ratio = np.where(sine > 1e-4, np.arctan2(sine, cosine) / np.maximum(sine, 1e-12), 1.0)
    vectors: Array = (axis * ratio[..., None]).astype(np.float32)
    return vectors


def float32_array(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a contiguous NumPy array in single precision; integers stay integers."""
    floating = np.issubdtype(values.dtype, np.floating)
    return np.ascontiguousarray(values, np.float32 if floating else values.dtype)


class JointTree:
    """Forward kinematics of a tree of J joints."""

    def __init__(self, parents: npt.NDArray[np.integer], asarray: AsArray = float32_array) -> None:
        """Prepare the tree; `parents` (J,): each joint's parent, -1 for the root, the first."""
        count = len(parents)
        above = np.maximum(parents, 0).astype(np.int64)
        moves = np.eye(count, dtype=np.float32)
        for joint in range(1, count):
            moves[joint] += moves[above[joint]]
        self.parents = asarray(above)
        """(J,) each joint's parent; the root is its own parent."""
        self.moves = asarray(moves)
        """(J, J) 1 where the joint of the column moves the joint of the row, or is that joint."""
        self._moves_back = asarray(np.linalg.inv(moves))
        # After n rounds each joint has gathered the 2^n - 1 joints above it; beyond the root, the
        # last row stands for no rotation.
        ancestors = np.append(parents, count).astype(np.int64)
        ancestors[0] = count
        self._ancestors = []
        while (ancestors < count).any():
            self._ancestors.append(asarray(ancestors))
            ancestors = ancestors[ancestors]
        self._identity = asarray(np.eye(3, dtype=np.float32)[None])

    def orientations(self, rotations: Tensor) -> Tensor:
        """Return orientations (..., J, 3, 3) in the root's frame from those relative to parents."""
        xp = namespace(rotations)
        none = xp.broadcast_to(self._identity, (*rotations.shape[:-3], 1, 3, 3))
        orientation = xp.concat([rotations, none], axis=-3)
        for ancestors in self._ancestors:
            orientation = take(orientation, ancestors, -3) @ orientation
        return orientation[..., :-1, :, :]

    def bones(self, rest_joints: Tensor) -> Tensor:
        """Return the bones (..., J, 3): T-pose joints minus their parents; the root's own place."""
        return self._moves_back @ rest_joints

    def positions(self, orientation: Tensor, bones: Tensor) -> Tensor:
        """Return the positions (..., J, 3) of the joints from their orientations and `bones`."""
        xp = namespace(orientation)
        turned = (take(orientation, self.parents, -3) @ bones[..., None])[..., 0]
        return self.moves @ xp.concat([bones[..., :1, :], turned[..., 1:, :]], axis=-2)

    def posed(self, rotations: Tensor, rest_joints: Tensor) -> Tensor:
        """Return the positions (..., J, 3) of joints from relative rotations and T-pose joints."""
        return self.positions(self.orientations(rotations), self.bones(rest_joints))

    def transforms(self, rotations: Tensor, rest_joints: Tensor, transl: Tensor) -> Tensor:
        """Return the transforms [R | t] (B, J, 3, 4) of the joints from the T-pose to the pose.

        `rotations` (B, J, 3, 3) relative to the parents; `rest_joints` (B, J, 3) and `transl`
        (B, 3) in metres.
        """
        xp = namespace(rotations)
        orientation = self.orientations(rotations)
        position = self.positions(orientation, self.bones(rest_joints))
        offset = position - (orientation @ rest_joints[..., None])[..., 0] + transl[:, None]
        return xp.concat([orientation, offset[..., None]], axis=3)
