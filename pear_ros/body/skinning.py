# SPDX-License-Identifier: Apache-2.0
"""Linear blend skinning with blend shapes: from a template to the posed mesh, batched over people.

The function is that of SMPL (Loper et al., SIGGRAPH Asia 2015). Vertices are kept plane by plane,
(B, 3, V), so that every step runs along memory; `vertex_list` gives them the usual way. Works on
NumPy arrays and on torch tensors alike.
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
"""Numbers in the directions from which on the time goes into reading them from memory."""

logger = get_logger(__name__)


class Skin(Protocol):
    """What moves the V vertices of a body, or of a part of it."""

    def __call__(self, coefficients: Tensor, template: Tensor, transforms: Tensor) -> Tensor:
        """(B, 3, V) the posed vertices.

        `coefficients` (B, K) of the blend shapes that are added to `template` (B or 1, 3, V);
        `transforms` (B, J, 3, 4) of the joints, from the T-pose to the pose.
        """
        ...


def make_skin(
    directions: npt.NDArray[Any], weights: npt.NDArray[Any], asarray: AsArray = float32_array
) -> Skin:
    """A skin of `directions` (V, 3, K), K blend shapes, and `weights` (V, J), whose rows sum to 1.

    On NumPy in single precision many directions are packed, which makes it several times faster and
    leaves vertices of SMPL-X off by micrometres.
    """
    if asarray is float32_array:
        if not directions.size:
            return SparseSkin(weights)
        if directions.size >= _LARGE and (packed := packed_skin()):
            return packed(directions, weights)
    return PlainSkin(directions, weights, asarray)


@cache
def packed_skin() -> type[PackedSkin] | None:
    """The compiled skin; None, with a word in the log, where it cannot be had.

    The first call on a machine compiles it, which takes seconds.
    """
    try:
        from pear_ros.body.packed_skin import PackedSkin
    except (ImportError, RuntimeError) as error:  # Numba is missing, or can keep nothing anywhere.
        logger.info("Meshes of big bodies take longer than they could: %s", error)
        return None
    return PackedSkin


class PlainSkin:
    """A Skin of matrix products."""

    def __init__(
        self, directions: npt.NDArray[Any], weights: npt.NDArray[Any], asarray: AsArray
    ) -> None:
        """Arguments as for `make_skin`."""
        self._directions = Directions(directions, asarray) if directions.size else None
        self._weights = asarray(weights.T[None])

    def __call__(self, coefficients: Tensor, template: Tensor, transforms: Tensor) -> Tensor:
        """See Skin."""
        if self._directions is not None:
            template = template + self._directions(coefficients)
        people, joints = transforms.shape[:2]
        blended = transforms.reshape(people, joints, 12).swapaxes(1, 2) @ self._weights
        rows = blended.reshape(people, 3, 4, blended.shape[2])
        # Few large steps instead of many small ones, as each is a kernel on a GPU.
        return (rows[:, :, :3] * template[:, None]).sum(2) + rows[:, :, 3]


class SparseSkin:
    """A Skin without blend shapes, by NumPy and SciPy: a vertex hangs on few of the joints."""

    def __init__(self, weights: npt.NDArray[Any]) -> None:
        """`weights` (V, J), rows sum to 1."""
        self._weights = sparse.csr_array(weights.astype(np.float32))

    def __call__(self, coefficients: Tensor, template: Tensor, transforms: Tensor) -> Tensor:
        """See Skin; there are no coefficients."""
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
    """What pose-corrective blend shapes go by: rotations of joints less the identity."""

    def __init__(self, joints: list[int], asarray: AsArray = float32_array) -> None:
        """`joints`: those that ever leave the T-pose."""
        self.columns = np.concatenate([np.arange(9) + 9 * (joint - 1) for joint in joints])
        """Of pose-corrective offsets (V, 3, 9 (J - 1)), which are of no joint but the root."""
        self._joints = asarray(np.array(joints))
        self._identity = asarray(np.eye(3, dtype=np.float32))

    def __call__(self, rotations: Tensor) -> Tensor:
        """(B, 9 n) entries, row by row, of `rotations` (B, J, 3, 3)."""
        feature = take(rotations, self._joints, 1) - self._identity
        return feature.reshape(len(rotations), len(self.columns))


def vertex_list(planes: Tensor) -> Tensor:
    """(B, V, 3) contiguous, of vertices plane by plane (B, 3, V)."""
    xp = namespace(planes)
    return xp.stack([planes[:, 0], planes[:, 1], planes[:, 2]], axis=2)
