# SPDX-License-Identifier: Apache-2.0
"""Placement: from the camera of PEAR's crop to the pose of each person in the robot's camera.

The network's camera of each crop is far from the person: about 25 m, with a field of view of 4.8
degrees, so perspective is weak. A robot's camera is near: closer parts appear larger, and people
beside the optical axis are seen from the side. Each body is moved rigidly such that its joints
project into the robot's image where the network projects them, by least squares. The remaining
error is the perspective itself, which no rigid motion reproduces; it grows with the body's depth
over its distance (benchmarks/results/placement.md). The authors' own data has the same error: about
3.5 pixels on BEDLAM2 with the best translation.

Frames: the network's camera frame and the robot's optical frame (REP-103) have x right, y down, z
forward; metres. All functions take B people at once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

from pear_ros.body.kinematics import rotation_matrices
from pear_ros.core.camera import Camera, IntrinsicsSource
from pear_ros.core.log import get_logger
from pear_ros.core.people import Array
from pear_ros.pear.crop import INPUT_SIZE

Doubles = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating]

logger = get_logger(__name__)

_CROP = float(INPUT_SIZE)
FOCAL = 12.0 * _CROP
"""Focal length of the network's camera in pixels of the crop."""
DISTANCE = 24.0
"""Distance of the network's camera times its scale s, metres."""

_NEAREST = 0.1
"""Least depth with which a joint is projected, metres."""
_FEWEST = 4
"""Least number of visible joints from which a person is placed."""

JOINT_WEIGHTS = np.ones(55)
"""Least-squares weights of SMPL-X's joints, with which they fit nearly as well as all vertices."""
JOINT_WEIGHTS[[15, 22, 23, 24]] = 2.0  # head, jaw and eyes
JOINT_WEIGHTS[25:] = 0.15  # fingers

_TURN = [0, 1, 2]
"""Entries of a rotation in a step of Gauss-Newton; those of a translation follow."""
_TURN_LEVER = 0.1
"""Regularisation of the rotation away from the viewing ray, metres: it costs as much as if every
joint were displaced by this length times the angle. Prevents rotations of little gain."""


def image_points(points: Floats, crop_camera: Floats, squares: Floats) -> Doubles:
    """Return image pixels (B, N, 2) to which the network's camera projects points (B, N, 3).

    `points` in metres, in the network's frame. `crop_camera` (B, 3): the network's tx, ty and s.
    `squares` (B, 3): x0 and y0 of the crop's top left corner in the image, and its side, pixels.
    NaN behind the network's camera.
    """
    depth = points[..., 2:] + _distance(crop_camera)[:, None, None]
    flat = (points[..., :2] - crop_camera[:, None, :2]) / np.where(depth > 0.0, depth, np.nan)
    crop = 0.5 + FOCAL / _CROP * flat
    pixels: Doubles = squares[:, None, :2] + crop * squares[:, None, 2:]
    return pixels


def closed_form(crop_camera: Floats, squares: Floats, camera: Camera) -> Array:
    """Return translations (B, 3) in metres as PEAR's authors compute them: exact for z = 0.

    `crop_camera` (B, 3): the network's tx, ty and s; `squares` (B, 3): x0, y0 and side of each
    crop, pixels; `camera`: that of the image, whose distortion is neglected.
    """
    middle = squares[:, :2] + squares[:, 2:] / 2.0
    z = _distance(crop_camera) * _CROP / FOCAL * camera.fx / squares[:, 2]
    offset = (middle - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
    xy = offset * z[:, None] - crop_camera[:, :2]
    return np.column_stack([xy, z]).astype(np.float32)


def place(points: Floats, pixels: Floats, camera: Camera, weights: Floats | float = 1.0) -> Array:
    """Return translations (B, 3) with which points (B, N, 3) project best onto pixels (B, N, 2).

    Linear least squares with `weights` (B, N) or (N,); metres, optical frame. Points whose pixel is
    NaN are left out; with fewer than four points the translation is NaN.
    """
    rays = camera.rays(pixels).astype(np.float64)
    weight, rays = _usable(rays, weights)
    return _place(points, rays, weight).astype(np.float32)


def place_people(
    joints: Floats, crop_camera: Floats, squares: Floats, camera: Camera
) -> tuple[Array, Array]:
    """Return rotations R (B, 3, 3) and translations t (B, 3) of the network's people in the scene.

    A point v in the network's frame maps to R (v - pelvis) + pelvis + t in the optical frame,
    metres: R is applied before the global orientation, and t is SMPL-X's translation. R is the
    rotation from the optical axis to the viewing ray of the crop's centre, times a small one that
    reduces the reprojection error of the joints.

    `joints` (B, 55, 3) in SMPL-X's order, pelvis first, metres; `crop_camera` (B, 3): the network's
    tx, ty and s; `squares` (B, 3): x0, y0 and side of each crop, pixels. With a camera that is not
    calibrated, people are placed by `closed_form` and not rotated. NaN for people with fewer than
    four joints in front of both cameras.
    """
    if camera.source is IntrinsicsSource.FIELD_OF_VIEW:
        upright = np.tile(np.eye(3, dtype=np.float32), (len(joints), 1, 1))
        return upright, closed_form(crop_camera, squares, camera)
    middle = squares[:, None, :2] + squares[:, None, 2:] / 2.0
    pixels = np.concatenate([middle, image_points(joints, crop_camera, squares)], axis=1)
    rays = np.ascontiguousarray(camera.rays(pixels), np.float64)
    points = np.ascontiguousarray(joints, np.float64)
    if fit := compiled_fit():
        rotation: Doubles = np.empty((len(joints), 3, 3))
        transl: Doubles = np.empty((len(joints), 3))
        fit(points, rays, JOINT_WEIGHTS, _FEWEST, _TURN_LEVER, _NEAREST, rotation, transl)
    else:
        rotation, transl = _fit(points, rays)
    return rotation.astype(np.float32), transl.astype(np.float32)


@cache
def compiled_fit() -> Callable[..., None] | None:
    """Return the compiled `_fit`; None, with the reason in the log, if it is not available.

    The first call on a machine compiles it, which takes seconds.
    """
    try:
        from pear_ros.pear.compiled_placement import fit
    except Exception as error:  # Numba is missing or broken, or can keep nothing anywhere.
        logger.info("Placement of people is slower without its compiled form: %s", error)
        return None
    return fit


def _fit(joints: Doubles, flat: Doubles) -> tuple[Doubles, Doubles]:
    """Return R (B, 3, 3) and t (B, 3) of `place_people` for joints (B, N, 3).

    `flat` (B, 1 + N, 2): rays of the crop's centre and of the joints, x/z and y/z; NaN: none.
    """
    looking = rotations_to(flat[:, 0])
    weight, flat = _usable(flat[:, 1:], JOINT_WEIGHTS)
    # In the frame of a camera that looks at the crop's centre, as the network's does.
    rays = np.concatenate([flat, np.ones((*flat.shape[:2], 1))], axis=2) @ looking
    rays = rays[..., :2] / rays[..., 2:]
    pelvis = joints[:, 0]
    transl = _place(joints, rays, weight)
    turn, transl = _refine(joints - pelvis[:, None], pelvis + transl, rays, weight)
    return looking @ turn, (looking @ transl[..., None])[..., 0] - pelvis


def _distance(crop_camera: Floats) -> Doubles:
    """(B,) distance of the network's camera from the frame's origin, metres; NaN if negative."""
    scale = crop_camera[:, 2].astype(np.float64) + 1e-9
    return np.asarray(DISTANCE / np.where(scale > 0.0, scale, np.nan))


def _usable(rays: Doubles, weights: Floats | float) -> tuple[Doubles, Doubles]:
    """Weights (B, N), 0 without a ray, NaN for people with too few rays; rays with 0 for NaN."""
    seen = np.asarray(np.isfinite(rays).all(axis=2))
    weight = np.where(seen, weights, 0.0)
    weight[np.count_nonzero(seen, axis=1) < _FEWEST] = np.nan
    return weight, np.where(seen[..., None], rays, 0.0)


def rotations_to(rays: Doubles) -> Doubles:
    """Return the shortest rotations (B, 3, 3) from the optical axis to rays (B, 2), x/z and y/z."""
    z = 1.0 / np.sqrt(1.0 + (rays * rays).sum(axis=1))
    xy = rays * z[:, None]
    rotations = np.empty((len(rays), 3, 3))
    rotations[:, :2, :2] = np.eye(2) - xy[:, :, None] * (xy / (1.0 + z)[:, None])[:, None]
    rotations[:, :2, 2] = xy
    rotations[:, 2, :2] = -xy
    rotations[:, 2, 2] = z
    return rotations


def _place(points: Floats, rays: Doubles, weight: Doubles) -> Doubles:
    """Translations t (B, 3) with which points (B, N, 3) lie best on rays (B, N, 2), x/z and y/z.

    Linear least squares (direct linear transformation, Hartley and Zisserman):
    x + t_x = u (z + t_z) and y + t_y = v (z + t_z). Solved twice: the second time each equation is
    divided by its depth, so that the residual is that in the image.
    """
    target = rays * points[..., 2:] - points[..., :2]
    transl = _translation(rays, target, weight)
    depth = np.maximum(points[..., 2] + transl[:, None, 2], _NEAREST)
    return _translation(rays, target, weight / depth**2)


def _translation(rays: Doubles, target: Doubles, weight: Doubles) -> Doubles:
    """Weighted least squares t (B, 3) of (t_x, t_y) - rays t_z = target, both (B, N, 2).

    A linear regression: t_z is the slope, t_x and t_y make the means fit. NaN without a solution.
    """
    total = weight.sum(axis=1, keepdims=True)
    share = (weight / np.where(total > 0.0, total, np.nan))[:, None]  # (B, 1, N)
    ray, mean = share @ rays, share @ target  # (B, 1, 2)
    off = rays - ray
    spread = (share @ (off * off)).sum(axis=2)  # (B, 1)
    z = (share @ (off * (mean - target))).sum(axis=2) / np.where(spread > 0.0, spread, np.nan)
    return np.concatenate([mean[:, 0] + ray[:, 0] * z, z], axis=1)


def _refine(
    offsets: Doubles, pelvis: Doubles, rays: Doubles, weight: Doubles
) -> tuple[Doubles, Doubles]:
    """Refined rotations (B, 3, 3) about the pelvis and positions (B, 3) of the pelvis.

    One Gauss-Newton step on the reprojection error; a second changes next to nothing. `offsets`
    (B, N, 3) from the pelvis; `pelvis` (B, 3): its initial positions. Normal equations
    (J' W J + D) s = J' W r, with the residuals r and Tikhonov's damping D of the rotation.
    """
    people, points, _ = offsets.shape
    x, y, z = np.moveaxis(offsets, 2, 0)
    depth = np.maximum(z + pelvis[:, None, 2], _NEAREST)
    flat = (offsets[..., :2] + pelvis[:, None, :2]) / depth[..., None]
    u, v = np.moveaxis(flat, 2, 0)
    # Jacobian of u and v: a small rotation a moves an offset r by a x r. Last column: residuals.
    rows = np.zeros((people, 7, 2, points))
    of_u, of_v = rows[:, :, 0], rows[:, :, 1]
    of_u[:, 0], of_u[:, 1], of_u[:, 2], of_u[:, 3], of_u[:, 5] = -u * y, z + u * x, -y, 1.0, -u
    of_v[:, 0], of_v[:, 1], of_v[:, 2], of_v[:, 4], of_v[:, 5] = -z - v * y, v * x, x, 1.0, -v
    rows[:, :6] /= depth[:, None, None]
    rows[:, 6] = np.moveaxis(rays - flat, 1, 2)
    weighted = (rows * weight[:, None, None]).reshape(people, 7, 2 * points)
    products = weighted @ rows.reshape(people, 7, 2 * points).swapaxes(1, 2)  # (B, 7, 7)
    normal, right = products[:, :6, :6], products[:, :6, 6:]
    damping = _TURN_LEVER**2 * weight.sum(axis=1) / pelvis[:, 2] ** 2
    normal[:, _TURN, _TURN] += damping[:, None]
    # A person without a solution must not raise for all.
    normal[~np.isfinite(normal).all(axis=(1, 2))] = 0.0
    unsolvable = ~(np.linalg.det(normal) > 0.0)
    normal[unsolvable] = np.eye(6)
    right[unsolvable] = np.nan
    step = np.linalg.solve(normal, right)[..., 0]
    turn: Doubles = rotation_matrices(step[:, :3])
    return turn, pelvis + step[:, 3:]
