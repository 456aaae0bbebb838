# SPDX-License-Identifier: Apache-2.0
"""Errors of joints, meshes and orientations in space, and of their motion.

Joints are (..., J, 3) in metres; errors are in millimetres, degrees, 1/s and m/s^2.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from pear_ros.evaluation.labels import Doubles

Points = npt.NDArray[np.floating]

RIGHT_WITHIN = 20.0
"""Greatest error of an orientation that counts as right, degrees."""
REVERSED_FROM = 90.0
"""Error of the facing from which on front is taken for back, degrees."""


def mpjpe(found: Points, truth: Points) -> float:
    """Return the mean distance of joints (J, 3), mm, over the known ones; NaN: none.

    MPJPE (Ionescu et al., Human3.6M, TPAMI 2014).
    """
    distance = np.linalg.norm(found - truth, axis=-1)
    known = np.isfinite(distance)
    return 1000.0 * float(distance[known].mean()) if known.any() else float("nan")


def root_relative_error(
    found: Doubles, truth: Doubles, found_root: Doubles, truth_root: Doubles
) -> float:
    """Return the mean distance of points, mm, after both roots (3,) are moved to the origin.

    With joints it is MPJPE as most work reports it, with vertices PVE (Pavlakos et al., CVPR 2018).
    """
    return mpjpe(found - found_root, truth - truth_root)


def pa_mpjpe(found: Points, truth: Points) -> float:
    """Return the mean distance of joints (J, 3), mm, after the best similarity transform.

    PA-MPJPE: rotation, uniform scale and translation by least squares (Umeyama, TPAMI 1991). NaN
    where fewer than three joints are known.
    """
    known = np.isfinite(found + truth).all(axis=-1)
    if known.sum() < 3:
        return float("nan")
    return mpjpe(aligned(found[known], truth[known]), truth[known])


def aligned(points: Points, target: Points) -> Doubles:
    """Return points (N, 3) after the similarity transform that brings them nearest to `target`."""
    centre, middle = points.mean(axis=0), target.mean(axis=0)
    source, goal = points - centre, target - middle
    left, values, right = np.linalg.svd(goal.T @ source)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * sign) @ right
    spread = (source**2).sum()
    scale = float((values * sign).sum() / spread) if spread > 0.0 else 1.0
    result: Doubles = scale * source @ rotation.T + middle
    return result


def torso_orientation(joints: Doubles) -> Doubles:
    """Return the axes (..., 3, 3) of torsos, as columns left, up and forward; NaN: unknown.

    `joints` (..., 4, 3): left and right shoulder, left and right hip. Up is from the hips to the
    shoulders; left is from right to left, of shoulders and hips together, at a right angle to up.
    """
    left_shoulder, right_shoulder, left_hip, right_hip = np.moveaxis(joints, -2, 0)
    up = _unit(left_shoulder + right_shoulder - left_hip - right_hip)
    across = left_shoulder - right_shoulder + left_hip - right_hip
    left = _unit(across - (across * up).sum(axis=-1, keepdims=True) * up)
    axes: Doubles = np.stack([left, up, np.cross(left, up)], axis=-1)
    return axes


def rotation_error(found: Doubles, truth: Doubles) -> Doubles:
    """Return the angles (...,) between rotations (..., 3, 3), degrees."""
    trace = np.einsum("...ij,...ij->...", found, truth)
    return np.asarray(np.degrees(np.arccos(np.clip((trace - 1.0) / 2.0, -1.0, 1.0))))


def facing_error(found: Doubles, truth: Doubles) -> Doubles:
    """Return the angles (...,) between the forward axes of orientations (..., 3, 3), degrees."""
    cosine = np.einsum("...i,...i->...", found[..., 2], truth[..., 2])
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))))


def swapped(found: Doubles, truth: Doubles) -> npt.NDArray[np.bool_]:
    """Return (T,) whether the limbs of left and right are interchanged.

    `found`, `truth` (T, 2, 3, 3): three joints of the left and the right limb, relative to the
    root. They are interchanged where they fit the labels better the other way round.
    """
    as_is = np.linalg.norm(found - truth, axis=-1).sum(axis=(1, 2))
    other = np.linalg.norm(found[:, ::-1] - truth, axis=-1).sum(axis=(1, 2))
    return np.asarray(other < as_is)


def changes_per_second(
    wrong: npt.NDArray[np.bool_], known: npt.NDArray[np.bool_], seconds: float
) -> float:
    """Return how often per second something becomes wrong, over the known frames (T,).

    A first frame that is wrong counts as well. NaN where there is no time.
    """
    values = wrong[known]
    if not len(values) or seconds <= 0.0:
        return float("nan")
    begun = int(values[0]) + int((values[1:] & ~values[:-1]).sum())
    return begun / seconds


def acceleration_error(found: Doubles, truth: Doubles, interval: float) -> Doubles:
    """Return the errors (T - 2,) of accelerations, m/s^2, mean over the joints.

    `found`, `truth` (T, J, 3) relative to their roots, in frames `interval` seconds apart; NaN
    where a joint or a frame is unknown. After Kanazawa et al., Learning 3D Human Dynamics from
    Video, CVPR 2019.
    """
    difference = found - truth
    second = (difference[2:] - 2.0 * difference[1:-1] + difference[:-2]) / interval**2
    return np.asarray(np.linalg.norm(second, axis=-1).mean(axis=-1))


def _unit(vectors: Doubles) -> Doubles:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: Doubles = vectors / np.where(length > 1e-9, length, np.nan)
    return unit
