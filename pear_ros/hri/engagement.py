# SPDX-License-Identifier: Apache-2.0
"""Engagement of a person with the robot, in the levels of REP-155, from head, body and distance."""

from __future__ import annotations

import enum
import math

_HEAD_ANGLE, _BODY_ANGLE = math.radians(25), math.radians(70)
"""Greatest angles of head and chest from the robot of a person who attends to it."""
_METRES = 5.0
"""Greatest distance of a person who attends to the robot: the end of Hall's social space, 3.6 m,
and what an assumed body size is wrong by."""
_SECONDS = 0.8
"""Time constant over which attention is averaged."""
_GAP_SECONDS = 2.0
"""Time without an observation after which the level is unknown."""
_BEGINS, _ENGAGED, _LEAVES, _ENDS = 0.3, 0.75, 0.6, 0.25
"""Averaged attention at which a level changes: from below to ENGAGING and ENGAGED, from above to
DISENGAGING and DISENGAGED."""


class Level(enum.Enum):
    """Level of engagement; names and meaning are those of hri_msgs/EngagementLevel."""

    UNKNOWN = enum.auto()
    DISENGAGED = enum.auto()
    """Has not looked at the robot."""
    ENGAGING = enum.auto()
    """Has started to look at it."""
    ENGAGED = enum.auto()
    DISENGAGING = enum.auto()
    """Has started to look away."""


def attends(head: float, body: float, metres: float) -> float:
    """Return whether a person attends to the robot now: 1.0, 0.0, or NaN for unknown.

    `head`, `body`: angles between the directions of head and chest and that of the robot, radians;
    `metres`: distance of the head and the robot.
    """
    if math.isnan(head + body + metres):
        return math.nan
    return float(head < _HEAD_ANGLE and body < _BODY_ANGLE and metres < _METRES)


class Engagement:
    """Engagement of the person of one track; begins anew with each track."""

    def __init__(self) -> None:
        """Begin with an unknown level."""
        self._level = Level.UNKNOWN
        self._attention = 0.0
        self._seconds: float | None = None

    def update(self, seconds: float, attention: float) -> Level:
        """Add what `attends` returned for an image of the stamp `seconds`; return the level.

        Unknown attention keeps the level for two seconds. If stamps jump back, it begins anew.
        """
        elapsed = 0.0 if self._seconds is None else seconds - self._seconds
        if elapsed < 0.0 or elapsed > _GAP_SECONDS:
            self._level, self._attention, self._seconds = Level.UNKNOWN, 0.0, None
            elapsed = 0.0
        if math.isnan(attention):
            return self._level
        self._seconds = seconds
        self._attention += (1.0 - math.exp(-elapsed / _SECONDS)) * (attention - self._attention)
        self._level = _next(self._level, self._attention)
        return self._level


def _next(level: Level, attention: float) -> Level:
    """Return the level that follows; between ENGAGED and DISENGAGED lies one more each way."""
    if level is Level.UNKNOWN:
        return Level.DISENGAGED
    if level is Level.DISENGAGED:
        return Level.ENGAGING if attention > _BEGINS else level
    if attention > _ENGAGED:
        return Level.ENGAGED
    if attention < _ENDS:
        return Level.DISENGAGING if level is Level.ENGAGED else Level.DISENGAGED
    return Level.DISENGAGING if level is Level.ENGAGED and attention < _LEAVES else level
