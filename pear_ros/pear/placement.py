# SPDX-License-Identifier: Apache-2.0
"""From PEAR's crop to the robot's camera: where the people of the network are, and how they stand.

The network looks at each person through a camera of its own that is far away: about 25 m, 4.8
degrees across the crop. There a body has hardly any perspective. A robot's camera is near and sees
what is closer larger, and people beside its optical axis from the side. Here each body is put to
where the robot's camera sees it as the network did, as well as a rigid body allows. What remains is
the perspective itself, which no place and no orientation of a body without perspective can give: it
grows with the person's depth over their distance (benchmarks/results/placement.md). The authors'
own data has it, too: about 3.5 pixels on BEDLAM2 with the best translation.

Frames: the network's and the optical frame have x right, y down, z forward; metres. All functions
take B people at once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.body.kinematics import rotation_matrices
from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.core.people import Array

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating]

_CROP = 256.0
"""Side of the crop that the network is given, pixels."""
_FOCAL = 3072.0
"""Focal length of the network's camera in pixels of the crop, 12 times its side."""
_DISTANCE = 24.0
"""Distance of the network's camera over its scale s, metres."""

_NEAREST = 0.1
"""Metres: no joint is projected from nearer than this."""
_FEWEST = 4
"""Joints without which nobody is placed."""

_WEIGHT = np.ones(55)
"""Of SMPL-X's joints, so that fitting to joints is nearly as good as to the whole surface."""
_WEIGHT[[15, 22, 23, 24]] = 2.0  # head, jaw and eyes
_WEIGHT[25:] = 0.15  # fingers

_TURN_LEVER = 0.1
"""Metres. A turn away from the viewing ray has to pay for itself: it costs as much as if every
joint were off by as many metres times the angle. Keeps bodies from being turned for little gain."""


def image_points(points: Floats, crop_camera: Floats, squares: Floats) -> Doubles:
    """(B, N, 2) pixels of the image at which the network sees points (B, N, 3).

    `crop_camera` (B, 3): the network's tx, ty and s. `squares` (B, 3): x0 and y0 of the crop's top
    left corner in the image and its side, pixels. NaN behind the network's camera.
    """
    depth = points[..., 2:] + _distance(crop_camera)[:, None, None]
    flat = (points[..., :2] - crop_camera[:, None, :2]) / np.where(depth > 0.0, depth, np.nan)
    crop = 0.5 + _FOCAL / _CROP * flat
    pixels: Doubles = squares[:, None, :2] + crop * squares[:, None, 2:]
    return pixels


def closed_form(crop_camera: Floats, squares: Floats, camera: Camera) -> Array:
    """(B, 3) translations as the authors of PEAR compute them: exact for points at z = 0.

    Arguments as for `place_people`. Distortion is not considered.
    """
    middle = squares[:, :2] + squares[:, 2:] / 2.0
    z = _distance(crop_camera) * _CROP / _FOCAL * camera.fx / squares[:, 2]
    offset = (middle - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
    xy = offset * z[:, None] - crop_camera[:, :2]
    return np.column_stack([xy, z]).astype(np.float32)


def place(points: Floats, pixels: Floats, camera: Camera, weights: Floats | float = 1.0) -> Array:
    """(B, 3) translations with which points (B, N, 3) project best onto pixels (B, N, 2).

    `weights` (B, N) or (N,). Points whose pixel is NaN do not count; where fewer than four do, the
    translation is NaN.
    """
    rays = camera.rays(pixels).astype(np.float64)
    weight, rays = _usable(rays, weights)
    return _place(points, rays, weight).astype(np.float32)


def place_people(
    joints: Floats, crop_camera: Floats, squares: Floats, camera: Camera
) -> tuple[Array, Array]:
    """Rotations (B, 3, 3) and translations (B, 3) that put the network's people into the scene.

    A point v of a body, in the network's frame, comes to lie in the optical frame at
    rotation (v - pelvis) + pelvis + translation: the rotation goes before the global orientation,
    and the translation is SMPL-X's. The rotation is that from looking straight ahead to looking at
    the person, and what else makes the joints project more nearly to where the network saw them.

    `joints` (B, 55, 3) in SMPL-X's order, pelvis first; `crop_camera` and `squares` as for
    `image_points`. Where the camera is not calibrated, its rays say little: people are then placed
    by `closed_form` and not turned. NaN for people of whom nearly nothing lies before both cameras.
    """
    if camera.source is IntrinsicsSource.FIELD_OF_VIEW:
        upright = np.tile(np.eye(3, dtype=np.float32), (len(joints), 1, 1))
        return upright, closed_form(crop_camera, squares, camera)
    middle = squares[:, None, :2] + squares[:, None, 2:] / 2.0
    pixels = np.concatenate([middle, image_points(joints, crop_camera, squares)], axis=1)
    flat = camera.rays(pixels).astype(np.float64)
    looking = _rotations_to(flat[:, 0])
    weight, flat = _usable(flat[:, 1:], _WEIGHT)
    # As seen by a camera that looks at the middle of the crop, as the network's does.
    rays = np.concatenate([flat, np.ones((*flat.shape[:2], 1))], axis=2) @ looking
    rays = rays[..., :2] / rays[..., 2:]
    joints = joints.astype(np.float64)
    pelvis = joints[:, 0]
    transl = _place(joints, rays, weight)
    turn, transl = _turned(joints - pelvis[:, None], pelvis + transl, rays, weight)
    rotation = looking @ turn
    transl = (looking @ transl[..., None])[..., 0] - pelvis
    return rotation.astype(np.float32), transl.astype(np.float32)


def _distance(crop_camera: Floats) -> Doubles:
    """(B,) metres from the network's camera to the origin of its frame; NaN if behind it."""
    scale = crop_camera[:, 2].astype(np.float64) + 1e-9
    return np.asarray(_DISTANCE / np.where(scale > 0.0, scale, np.nan))


def _usable(rays: Doubles, weights: Floats | float) -> tuple[Doubles, Doubles]:
    """Weights (B, N), 0 where there is no ray, NaN for people with too few; rays without NaN."""
    seen = np.asarray(np.isfinite(rays).all(axis=2))
    weight = np.where(seen, weights, 0.0)
    weight[np.count_nonzero(seen, axis=1) < _FEWEST] = np.nan
    return weight, np.where(seen[..., None], rays, 0.0)


def _rotations_to(rays: Doubles) -> Doubles:
    """(B, 3, 3) the shortest rotations from the optical axis to rays (B, 2), x/z and y/z."""
    x, y = rays.T
    slope = np.hypot(x, y)
    share = np.arctan(slope) / np.maximum(slope, 1e-12)
    rotations: Doubles = rotation_matrices(np.stack([-y * share, x * share, 0.0 * x], axis=1))
    return rotations


def _place(points: Floats, rays: Doubles, weight: Doubles) -> Doubles:
    """(B, 3) translations with which points (B, N, 3) lie best on rays (B, N, 2), x/z and y/z.

    Linear least squares: x + tx = u (z + tz), and the same for y. Solved again with each equation
    over its depth, which makes of metres what they are in the image.
    """
    rows = np.zeros((*rays.shape, 3))
    rows[..., 0, 0] = rows[..., 1, 1] = 1.0
    rows[..., 2] = -rays
    target = rays * points[..., 2:] - points[..., :2]
    transl = _solve(rows, target, weight)
    depth = np.maximum(points[..., 2] + transl[:, None, 2], _NEAREST)
    return _solve(rows, target, weight / depth**2)


def _turned(
    offsets: Doubles, pelvis: Doubles, rays: Doubles, weight: Doubles
) -> tuple[Doubles, Doubles]:
    """Rotations (B, 3, 3) about the pelvis and its places (B, 3), a little better than the given.

    `offsets` (B, N, 3) from the pelvis. One Gauss-Newton step; a second changes next to nothing.
    """
    x, y, z = np.moveaxis(offsets, 2, 0)
    depth = np.maximum(z + pelvis[:, None, 2], _NEAREST)
    flat = (offsets[..., :2] + pelvis[:, None, :2]) / depth[..., None]
    u, v = np.moveaxis(flat, 2, 0)
    none, one = np.zeros_like(u), np.ones_like(u)
    # A small rotation a moves an offset r by a x r.
    rows = np.stack(
        [
            np.stack([-u * y, z + u * x, -y, one, none, -u], axis=2),
            np.stack([-z - v * y, v * x, x, none, one, -v], axis=2),
        ],
        axis=2,
    )
    rows /= depth[..., None, None]
    cautious = np.zeros(6)
    cautious[:3] = _TURN_LEVER**2
    effort = cautious * (weight.sum(axis=1) / pelvis[:, 2] ** 2)[:, None]
    step = _solve(rows, rays - flat, weight, effort)
    turn: Doubles = rotation_matrices(step[:, :3])
    return turn, pelvis + step[:, 3:]


def _solve(
    rows: Doubles, target: Doubles, weight: Doubles, effort: Doubles | float = 0.0
) -> Doubles:
    """(B, K) weighted least squares of rows (B, N, 2, K) and target (B, N, 2).

    `effort` (B, K): what the square of each unknown costs. NaN where there is no solution.
    """
    people, points, _, unknowns = rows.shape
    flat = rows.reshape(people, 2 * points, unknowns)
    weighted = flat.swapaxes(1, 2) * np.repeat(weight, 2, axis=1)[:, None]
    normal = weighted @ flat
    np.einsum("bkk->bk", normal)[:] += effort
    right = weighted @ target.reshape(people, 2 * points, 1)
    # One person without a solution must not keep the others from theirs.
    normal[~np.isfinite(normal).all(axis=(1, 2))] = 0.0
    unsolvable = ~(np.linalg.det(normal) > 0.0)
    normal[unsolvable] = np.eye(unknowns)
    right[unsolvable] = np.nan
    return np.asarray(np.linalg.solve(normal, right)[..., 0], np.float64)
