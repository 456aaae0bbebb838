# SPDX-License-Identifier: Apache-2.0
"""Velocity of a person, or of another quantity, over the images of a track."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

_SECONDS = 0.4
"""Time constant of the average: distance from one camera trembles by centimetres."""
_SAME_SECONDS = 1e-3
"""Time between stamps below which they are one image's."""
_GAP_SECONDS = 1.0
"""Time without a position after which velocity begins anew."""

Float64 = npt.NDArray[np.float64]


class Velocity:
    """Velocity of the person of one track; begins anew with each track."""

    def __init__(self, size: int = 3) -> None:
        """Begin without a position of `size` coordinates."""
        self._unknown: Float64 = np.full(size, np.nan)
        self._begin()

    def _begin(self) -> None:
        self._seconds = math.nan
        self._place: Float64 = self._unknown
        self._velocity: Float64 = self._unknown
        self._weight = 0.0

    def update(self, seconds: float, place: Float64) -> Float64:
        """Add the position `place` (size,), metres, at the stamp `seconds`; return m/s (size,).

        In the frame of the positions, which must be the same each time. NaN until two positions are
        known. If stamps jump back or no position is known for a second, velocity begins anew.
        """
        elapsed = seconds - self._seconds
        if 0.0 <= elapsed < _SAME_SECONDS:
            return self._velocity
        if not 0.0 < elapsed <= _GAP_SECONDS:
            self._begin()
        if not np.isfinite(place).all():
            return self._velocity
        if math.isfinite(self._seconds):
            self._average((place - self._place) / elapsed, elapsed)
        self._seconds, self._place = seconds, place
        return self._velocity

    def _average(self, measured: Float64, elapsed: float) -> None:
        # The weight is the sum of the shares, so that the average begins with what was measured
        # first, not with zero.
        share = -math.expm1(-elapsed / _SECONDS)  # not 0, however little time passed
        self._weight += share * (1.0 - self._weight)
        previous = self._velocity if np.isfinite(self._velocity).all() else measured
        self._velocity = previous + share / self._weight * (measured - previous)
