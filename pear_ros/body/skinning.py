# SPDX-License-Identifier: Apache-2.0
"""Linear blend skinning with blend shapes: from a template to the posed mesh, batched over people.

The function is that of SMPL (Loper et al., SIGGRAPH Asia 2015): v = sum_j w_j (R_j t + o_j), with
t the template plus blend shapes, w_j the skinning weights and [R_j | o_j] the transforms of the
joints. Vertices are kept plane by plane, (B, 3, V), so that every step runs along memory;
`vertex_list` returns them as (B, V, 3). Works on NumPy arrays and on torch tensors alike.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse

from pear_ros.body.blending import Directions
from pear_ros.body.kinematics import AsArray, Tensor, float32_array, namespace, take
from pear_ros.core.log import get_logger

if TYPE_CHECKING:
    from pear_ros.body.packed_skin import PackedSkin

_LARGE = 1_000_000
"""Size of the directions from which on reading them from memory takes most of the time."""

logger = get_logger(__name__)


class Skin(Protocol):
    """Moves the V vertices of a body, or of a part of it, from template to pose."""

    def __call__(self, coefficients: Tensor, template: Tensor, transforms: Tensor) -> Tensor:
        """Return the posed vertices (B, 3, V), metres.

        `coefficients` (B, K) of the blend shapes that are added to `template` (B or 1, 3, V);
        `transforms` (B, J, 3, 4) of the joints, from the T-pose to the pose.
        """
        ...


def make_skin(
    directions: npt.NDArray[Any], weights: npt.NDArray[Any], asarray: AsArray = float32_array
) -> Skin:
    """Return a skin of K blend shapes (V, 3, K) and `weights` (V, J), whose rows sum to 1.

    On NumPy in single precision many directions are packed: several times faster, with errors of
    micrometres for SMPL-X.
    """
    if asarray is float32_array:
        if not directions.size:
            return SparseSkin(weights)
        if directions.size >= _LARGE and (packed := packed_skin()):
            return packed(directions, weights)
    return PlainSkin(directions, weights, asarray)


@cache
def packed_skin() -> type[PackedSkin] | None:
    """Return the compiled skin; None, with the reason in the log, if it is not available.

    The first call on a machine compiles it, which takes seconds.
    """
    try:
        from pear_ros.body.packed_skin import PackedSkin
    except Exception as error:  # Numba is missing or broken, or can keep nothing anywhere.
        logger.info("Meshes of large bodies are slower without the compiled skinning: %s", error)
        return None
    return PackedSkin


class PlainSkin:
    """A Skin by matrix products."""

    def __init__(
        self, directions: npt.NDArray[Any], weights: npt.NDArray[Any], asarray: AsArray
    ) -> None:
        """Take `directions` (V, 3, K), K may be 0, and `weights` (V, J), whose rows sum to 1."""
        self._directions = Directions(directions, asarray) if directions.size else None
        self._weights = asarray(weights.T[None])

    def __call__(self, coefficients: Tensor, template: Tensor, transforms: Tensor) -> Tensor:
        """Return the posed vertices (B, 3, V); arguments as in Skin."""
        if self._directions is not None:
            template = template + self._directions(coefficients)
        people, joints = transforms.shape[:2]
        blended = transforms.reshape(people, joints, 12).swapaxes(1, 2) @ self._weights
        rows = blended.reshape(people, 3, 4, blended.shape[2])
        # Few large steps instead of many small ones, as each is a kernel on a GPU.
        return (rows[:, :, :3] * template[:, None]).sum(2) + rows[:, :, 3]


class SparseSkin:
    """A Skin without blend shapes, by NumPy and SciPy: few weights of a vertex are not zero."""

    def __init__(self, weights: npt.NDArray[Any]) -> None:
        """Take `weights` (V, J), whose rows sum to 1."""
        self._weights = sparse.csr_array(weights.astype(np.float32))

    def __call__(self, coefficients: Tensor, template: Tensor, transforms: Tensor) -> Tensor:
        """Return the posed vertices (B, 3, V); arguments as in Skin, without coefficients."""
        people, joints = transforms.shape[:2]
        moved = np.empty((people, *template.shape[1:]), np.float32)
        # One by one, as one person's blended transforms stay in the processor's cache.
        for transform, (x, y, z), out in zip(
            transforms.reshape(people, joints, 12),
            np.broadcast_to(template, moved.shape),
            moved,
            strict=True,
        ):
            rows = np.ascontiguousarray((self._weights @ transform).T).reshape(3, 4, -1)
            np.multiply(rows[:, 0], x, out=out)
            out += rows[:, 1] * y
            out += rows[:, 2] * z
            out += rows[:, 3]
        return moved


class PoseFeature:
    """The coefficients of pose-corrective blend shapes: rotations of joints minus the identity."""

    def __init__(self, joints: list[int], asarray: AsArray = float32_array) -> None:
        """Use only `joints`, those that can leave the T-pose."""
        self.columns = np.concatenate([np.arange(9) + 9 * (joint - 1) for joint in joints])
        """Their columns in pose-corrective offsets (V, 3, 9 (J - 1)), which leave out the root."""
        self._joints = asarray(np.array(joints))
        self._identity = asarray(np.eye(3, dtype=np.float32))

    def __call__(self, rotations: Tensor) -> Tensor:
        """Return the coefficients (B, 9 n), row-major, of `rotations` (B, J, 3, 3)."""
        feature = take(rotations, self._joints, 1) - self._identity
        return feature.reshape(len(rotations), len(self.columns))


def vertex_list(planes: Tensor) -> Tensor:
    """Return vertices (B, V, 3), contiguous, from vertices plane by plane (B, 3, V)."""
    xp = namespace(planes)
    return xp.stack([planes[:, 0], planes[:, 1], planes[:, 2]], axis=2)
