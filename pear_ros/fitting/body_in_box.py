# SPDX-License-Identifier: Apache-2.0
"""Puts a body into the box of a person whose body cannot be read: at rest, or in a known pose."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from pear_ros.body import BodyModel
from pear_ros.body.model_files import relaxed_hands
from pear_ros.core.camera import Camera
from pear_ros.core.people import NUM_JOINTS, SMPLX_JOINT_NAMES, Array, SmplxParams

_MIN_DEPTH = 0.4
"""Least depth of the body, metres."""
_EDGE = 0.02
"""Distance to the image's edge, over the image's side, below which the edge cuts the box off."""
_SHOULDER_WIDTH = 0.5
"""Width of a person of whom the box shows a part, metres: that of the shoulders with the arms."""
ARM_ANGLE = 1.2
"""Angle by which the arms of a body at rest are lowered from the T-pose, radians."""


class BodyInBox:
    """Places bodies in boxes; stateless."""

    def __init__(self, body: BodyModel) -> None:
        """Prepare the body at rest: upright, facing the camera, arms lowered."""
        self._body = body
        pose = np.zeros((NUM_JOINTS, 3), np.float32)
        pose[0, 0] = math.pi  # from y up, facing +z, to y down, facing the camera
        pose[SMPLX_JOINT_NAMES.index("left_shoulder"), 2] = -ARM_ANGLE
        pose[SMPLX_JOINT_NAMES.index("right_shoulder"), 2] = ARM_ANGLE
        pose[SMPLX_JOINT_NAMES.index("left_index1") :] = relaxed_hands().reshape(-1, 3)
        betas = np.zeros(body.num_betas, np.float32)
        expression = np.zeros(body.num_expression, np.float32)
        self._rest = SmplxParams(pose, betas, expression, np.zeros(3, np.float32))
        self._rest_extent = self._extent(self._rest)

    def at_rest(self, box: Array, camera: Camera) -> SmplxParams:
        """Return the body at rest in a box (4,) x0 y0 x1 y1, pixels of `camera`.

        Its distance is the one at which a body of average size fills the height of the box. Where
        the image's edge cuts the box off at the top or bottom, the box shows a part of unknown
        height; then the body is as near as shoulders of average width fill the width of the box.
        """
        low, high = _rays(box, camera)
        cut = _cut(box, camera)
        span, extent = np.maximum(high - low, 1e-6), np.diff(self._rest_extent, axis=0)[0]
        depth = float(extent[1] / span[1])
        if cut[1] or cut[3]:
            depth = min(depth, float(_SHOULDER_WIDTH / span[0]))
        transl = _aligned(self._rest_extent, box, camera, max(depth, _MIN_DEPTH))
        return replace(self._rest, transl=transl)

    def as_before(self, known: SmplxParams, box: Array, camera: Camera) -> SmplxParams:
        """Return a known body in the same pose at the same depth, moved to a box (4,), pixels.

        The depth is kept since the box may show another part of the body than before.
        """
        extent = self._extent(known) - known.transl
        depth = float(extent[:, 2].mean() + known.transl[2])
        return replace(known, transl=_aligned(extent, box, camera, max(depth, _MIN_DEPTH)))

    def _extent(self, smplx: SmplxParams) -> Array:
        """Return the least and the greatest coordinates (2, 3) of a posed body's mesh, metres."""
        vertices = self._body.vertices(
            smplx.pose[None], smplx.betas[None], smplx.expression[None], smplx.transl[None]
        )[0]
        return np.stack([vertices.min(axis=0), vertices.max(axis=0)])


def _aligned(extent: Array, box: Array, camera: Camera, depth: float) -> Array:
    """Return the translation (3,) that puts a body's middle at this depth and its mesh in a box.

    The top of the body is at the top of the box, its middle in the middle of the width; at edges
    that the image cuts off the opposite edge decides. `extent` (2, 3): the mesh's least and
    greatest coordinates at translation 0, metres.
    """
    low, high = _rays(box, camera) * depth
    middle = extent.mean(axis=0)
    left, top, right, bottom = _cut(box, camera)
    x = (low[0] + high[0]) / 2.0 - middle[0]
    if left != right:
        x = high[0] - extent[1, 0] if left else low[0] - extent[0, 0]
    y = low[1] - extent[0, 1]
    if top:
        y = (low[1] + high[1]) / 2.0 - middle[1] if bottom else high[1] - extent[1, 1]
    return np.array([x, y, depth - middle[2]], np.float32)


def _rays(box: Array, camera: Camera) -> Array:
    """Return x/z and y/z (2, 2) of a box's top left and bottom right corner."""
    corners = box.reshape(2, 2)
    rays = camera.rays(corners)
    # A corner that no point is projected to, off a wide lens, is taken as without the lens.
    return np.where(np.isnan(rays), camera.pinhole.rays(corners), rays)


def _cut(box: Array, camera: Camera) -> tuple[bool, bool, bool, bool]:
    """Return whether the image's left, top, right and bottom edge cut the box off.

    A box that reaches outside is around the whole person.
    """
    size = np.array([camera.width, camera.height])
    distance = np.concatenate([box[:2], box[2:] - size]) / np.tile(size, 2)
    left, top, right, bottom = (bool(one) for one in np.abs(distance) < _EDGE)
    return left, top, right, bottom
