# SPDX-License-Identifier: Apache-2.0
"""Quantities of people over a recording, for plots."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from pear_ros.hri.joint_angles import ANGLES
from pear_ros.hri.velocity import Velocity
from pear_ros.viewing.moment import TrackSummary

Doubles = npt.NDArray[np.float64]

DISTANCE, SPEED = "distance [m]", "speed [m/s]"
QUANTITIES = (DISTANCE, SPEED, *(f"{name} [deg]" for name in ANGLES))
"""Distance of the pelvis from the camera, its speed relative to the camera, joint angles."""
MAX_POINTS = 600
"""Points of one line; of longer recordings every second, third ... image is taken."""


def lines(
    quantity: str, tracks: Mapping[str, TrackSummary], seconds: Doubles
) -> tuple[Doubles, dict[str, Doubles]]:
    """Return the times (P,) and for each person the values (P,) at them; NaN: absent or unknown.

    `quantity`: one of QUANTITIES; `seconds`: (F,) times of the images.
    """
    every = max(1, -(-len(seconds) // MAX_POINTS))
    found = {}
    for name, track in tracks.items():
        values = np.full(len(seconds), np.nan)
        values[track.frames] = _values(quantity, track, seconds[track.frames])
        found[name] = values[::every]
    return seconds[::every], found


def _values(quantity: str, track: TrackSummary, seconds: Doubles) -> Doubles:
    if quantity == DISTANCE:
        return _lengths(track.pelvis.astype(np.float64))
    if quantity == SPEED:
        velocity = Velocity()
        steps = [
            velocity.update(float(second), place)
            for second, place in zip(seconds, track.pelvis.astype(np.float64), strict=True)
        ]
        return _lengths(np.array(steps).reshape(-1, 3))
    column = QUANTITIES.index(quantity) - 2
    degrees: Doubles = np.degrees(track.angles[:, column].astype(np.float64))
    return degrees


def _lengths(vectors: Doubles) -> Doubles:
    lengths: Doubles = np.linalg.norm(vectors, axis=1)
    return lengths
