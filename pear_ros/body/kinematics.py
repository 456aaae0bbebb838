# SPDX-License-Identifier: Apache-2.0
"""Rotations and forward kinematics of a joint tree, batched over people.

Works on NumPy arrays and on torch tensors of any precision and device, and returns the same kind.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from array_api_compat import array_namespace, device

from pear_ros.core.log import get_logger

logger = get_logger(__name__)

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


def no_rotations(rotations: Tensor) -> Tensor:
    """Return identity matrices in the shape (..., 3, 3) of `rotations`, as a read-only view."""
    xp = namespace(rotations)
    identity = xp.eye(3, dtype=rotations.dtype, device=device(rotations))
    return xp.broadcast_to(identity, rotations.shape)


def rotation_vectors(matrices: Array) -> Array:
    """Return axis-angle vectors (..., 3) of rotation matrices (..., 3, 3), radians; NumPy only.

    Angles are from 0 to pi. By the unit quaternion q: 4 q q' is linear in the matrix, and each of
    its rows a multiple of q; the one with the largest diagonal entry suffers no cancellation
    (Shepperd, 1978). Exact to rounding for all angles, pi included.
    """
    products = matrices.reshape(-1, 9) @ _TO_QUATERNIONS + _EYE4  # (N, 16): 4 q q'
    rows = products.reshape(-1, 4, 4)
    quaternions = rows[np.arange(len(rows)), products[:, ::5].argmax(axis=1)]  # (N, 4), w first
    axes, w = quaternions[:, 1:], quaternions[:, 0]
    length = np.sqrt((axes * axes).sum(axis=1) + _TINY)
    ratio = np.copysign(2.0 * np.arctan2(length, np.abs(w)) / length, w)
    vectors: Array = (axes * ratio[:, None]).astype(np.float32)
    return vectors.reshape(matrices.shape[:-1])


def _to_quaternions() -> Array:
    """Return the matrix (9, 16) from rotation matrices, row by row, to 4 q q' minus identity."""
    xx, xy, xz, yx, yy, yz, zx, zy, zz = np.eye(9, dtype=np.float32)
    rows = [
        [xx + yy + zz, zy - yz, xz - zx, yx - xy],
        [zy - yz, xx - yy - zz, xy + yx, xz + zx],
        [xz - zx, xy + yx, yy - xx - zz, yz + zy],
        [yx - xy, xz + zx, yz + zy, zz - xx - yy],
    ]
    return np.array(rows).reshape(16, 9).T.copy()


_TO_QUATERNIONS = _to_quaternions()
_EYE4 = np.eye(4, dtype=np.float32).reshape(16)


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
        self._compiled_posed = _compiled_posed() if asarray is float32_array else None

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
        if self._compiled_posed is not None and rotations.ndim == 4:
            turned = np.ascontiguousarray(rotations, np.float32)
            rest = np.ascontiguousarray(rest_joints, np.float32)
            return self._compiled_posed(turned, rest, self.parents)
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


@cache
def _compiled_posed() -> Callable[[Array, Array, npt.NDArray[np.int64]], Array] | None:
    """Return the compiled `JointTree.posed`; None, with the reason in the log, if it is missing.

    The first call on a machine compiles it, which takes seconds.
    """
    try:
        from pear_ros.body.compiled_kinematics import posed
    except Exception as error:  # Numba is missing or broken, or can keep nothing anywhere.
        logger.info("Joints of bodies are slower without their compiled form: %s", error)
        return None
    return posed
