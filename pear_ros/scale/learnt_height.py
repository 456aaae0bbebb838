# SPDX-License-Identifier: Apache-2.0
"""The standing height of a person, learnt from the images in which it could be measured."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

KNOWN_LOG_HEIGHT_STD = 0.03
"""Standard deviation of the log height in one image of a person of known height: poses have errors,
which are the same for a while, so that it does not fall with the number of images."""
_MIN_INTERVAL = 0.1
"""Seconds between two measurements of a height that are kept: errors of images are correlated."""
_MAX_MEASUREMENTS = 200
"""Number of measurements of which the median is taken."""


@dataclass
class _Measurements:
    """The last measurements of a log height, with their standard deviations."""

    log_heights: deque[float] = field(default_factory=lambda: deque(maxlen=_MAX_MEASUREMENTS))
    stds: deque[float] = field(default_factory=lambda: deque(maxlen=_MAX_MEASUREMENTS))
    stamp: float = -math.inf

    def add(self, log_height: float, std: float, stamp: float) -> bool:
        if 0.0 < stamp - self.stamp < _MIN_INTERVAL:
            return False
        self.log_heights.append(log_height)
        self.stds.append(std)
        self.stamp = stamp
        return True


@dataclass
class LearntHeight:
    """Running median of the log heights of a person, robust against outliers.

    Heights from depth images have precedence over those from the floor.
    """

    median: float = math.nan
    """Median of the log heights, log metres."""
    std: float = math.nan
    """Standard deviation of it."""
    from_depth: bool = False
    """Whether it is from depth images."""
    _depth: _Measurements = field(default_factory=_Measurements)
    _floor: _Measurements = field(default_factory=_Measurements)

    @property
    def is_known(self) -> bool:
        """Whether the height was measured at all."""
        return not math.isnan(self.median)

    def add_depth(self, log_height: float, stamp: float) -> None:
        """Add what a depth image gave at `stamp`, seconds."""
        if self._depth.add(log_height, KNOWN_LOG_HEIGHT_STD, stamp):
            self.median = float(np.median(self._depth.log_heights))
            self.std, self.from_depth = KNOWN_LOG_HEIGHT_STD, True

    def add_floor(self, log_height: float, std: float, stamp: float) -> None:
        """Add what the floor gave at `stamp`, seconds, with its standard deviation."""
        floor = self._floor
        if floor.add(log_height, std, stamp) and not self.from_depth:
            weights = 1.0 / np.square(floor.stds)
            self.median = _weighted_median(np.array(floor.log_heights), weights)
            # No less than that of one of the better measurements: a tilt of the camera, or the
            # pose, is wrong for long.
            self.std = max(KNOWN_LOG_HEIGHT_STD, float(weights.mean() ** -0.5))


def _weighted_median(values: Doubles, weights: Doubles) -> float:
    order = np.argsort(values)
    share = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(share, 0.5 * share[-1])])
