# SPDX-License-Identifier: Apache-2.0
"""Least distance between people, as capsules, and spheres around frames of a robot.

This is no safety function (ISO/TS 15066, ISO 13482).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pear_ros.hri.body_parts import Float64
from pear_ros.hri.capsules import Capsules
from pear_ros.hri.velocity import Velocity


class Separations(NamedTuple):
    """The nearest parts of N people to R spheres; NaN where a person or a sphere is unknown."""

    parts: npt.NDArray[np.intp]
    """(N, R) indices of the nearest capsules in PARTS; -1: unknown."""
    distances: Float64
    """(N, R) distances of the surfaces, metres; negative where they overlap."""
    errors: Float64
    """(N, R) standard deviations of the distances, metres."""
    human_points: Float64
    """(N, R, 3) nearest points of the capsules."""
    robot_points: Float64
    """(N, R, 3) nearest points of the spheres."""


def separations(
    capsules: Capsules, centres: Float64, radii: Float64, camera: Float64, depth_errors: Float64
) -> Separations:
    """Return the nearest parts of people to the spheres of a robot.

    `centres` (R, 3) and `radii` (R,) of the spheres and the `camera`'s place (3,), in the frame of
    the capsules, metres. `depth_errors` (N,): standard deviation of each person's distance from the
    camera (Human.depth_error), of which the share along the least distance counts; NaN: unknown.
    Where the surfaces overlap, distance is that between axis and centre, less both radii.
    """
    axis_points, gaps = _nearest_on_axes(capsules, centres)  # (N, C, R, 3), (N, C, R)
    gaps = gaps - capsules.radii[..., None] - radii
    gaps[np.isnan(gaps)] = np.inf
    parts = gaps.argmin(axis=1)
    person, sphere = np.ogrid[: len(parts), : len(centres)]
    distances = gaps[person, parts, sphere]
    points = axis_points[person, parts, sphere]
    directions = _directions(points, centres)
    unknown = ~np.isfinite(distances)
    directions[unknown] = np.nan
    human_points = points + capsules.radii[person, parts][..., None] * directions
    seen = np.einsum("nrk,nrk->nr", _directions(camera, human_points), directions)
    return Separations(
        np.where(unknown, -1, parts),
        np.where(unknown, np.nan, distances),
        np.hypot(seen * depth_errors[:, None], capsules.errors[person, parts]),
        human_points,
        centres - radii[:, None] * directions,
    )


def _nearest_on_axes(capsules: Capsules, centres: Float64) -> tuple[Float64, Float64]:
    """Return the axes' nearest points to the centres (N, C, R, 3), and distances (N, C, R)."""
    begins, along = capsules.begins[:, :, None], (capsules.ends - capsules.begins)[:, :, None]
    squared = (along**2).sum(axis=3)
    shares = ((centres - begins) * along).sum(axis=3) / np.where(squared > 0.0, squared, 1.0)
    points = begins + np.clip(shares, 0.0, 1.0)[..., None] * along
    return points, np.linalg.norm(centres - points, axis=3)


def _directions(starts: Float64, ends: Float64) -> Float64:
    """Return unit vectors from starts to ends (..., 3); upwards where they coincide."""
    vectors = ends - starts
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        units: Float64 = np.where(lengths > 0.0, vectors / lengths, (0.0, 0.0, 1.0))
    return units


class ClosingSpeeds:
    """Speeds at which distances shrink, over the images of tracks."""

    def __init__(self) -> None:
        """Begin without a distance."""
        self._rates: dict[Hashable, list[Velocity]] = {}

    def update(self, seconds: float, keys: Sequence[Hashable], distances: Float64) -> Float64:
        """Add the `distances` (N, R) at the stamp `seconds`; return speeds (N, R), metres a second.

        `keys` (N,): what must stay the same for a speed to continue, as the track's id; those that
        are missing are forgotten. Speeds are averaged over 0.4 s, and NaN until two distances are
        known. Movement of limbs and of the robot is included, as it changes the distance.
        """
        self._rates = {
            key: self._rates.get(key) or [Velocity(1) for _ in row]
            for key, row in zip(keys, distances, strict=True)
        }
        speeds = np.full(distances.shape, np.nan)
        for row, key in enumerate(keys):
            for column, rate in enumerate(self._rates[key]):
                speeds[row, column] = -rate.update(seconds, distances[row, column, None])[0]
        return speeds
