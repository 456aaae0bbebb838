# SPDX-License-Identifier: Apache-2.0
"""Waving: a person is upright, a hand above the shoulder, and its forearm swings to and fro.

Arms are measured along the person's own spine and shoulders, in lengths of their forearm. So
position, orientation and height of the person do not matter, nor whether depth is metric.
"""

from __future__ import annotations

import math

from pear_ros.core.people import Array
from pear_ros.hri.body_parts import (
    LEVEL_CAMERA_UP,
    MIN_UPRIGHT,
    SIDES,
    Float64,
    arm,
    leftwards,
    observed,
    spine,
    unit,
)

_SWING = 0.3
"""Least travel of the hand to one side, in lengths of the forearm."""
_SWINGS = 4
"""Swings within the window that are waving."""
_WINDOW_SECONDS = 2.5
_GAP_SECONDS = 0.3
"""Time for which a hand may be unobserved."""

Track = list[tuple[float, float]]
"""Stamps in seconds, and how far a forearm pointed to the person's left."""


class Waving:
    """Whether the person of one track waves; begins anew with each track."""

    def __init__(self) -> None:
        """Begin with a person who does not wave."""
        self._hands: dict[str, Track] = {side: [] for side in SIDES}
        self._waves = False

    def update(
        self, seconds: float, joints: Array, confidence: Array, up: Float64 = LEVEL_CAMERA_UP
    ) -> bool:
        """Add an image taken at the stamp `seconds`; return whether the person waves.

        `joints` (55, 3) and `up` (3,) in one frame, `confidence` (55,) of the joints. If stamps
        jump back, the hands' tracks begin anew. Images should arrive at 10 Hz or more.
        """
        enough = 1 if self._waves else _SWINGS  # hysteresis: one swing is enough to go on
        for side in SIDES:
            self._follow(side, seconds, forearm_sideways(joints, confidence, side, up))
        self._waves = any(_swings(track) >= enough for track in self._hands.values())
        return self._waves

    def _follow(self, side: str, seconds: float, place: float | None) -> None:
        begin = seconds - _WINDOW_SECONDS
        track = [past for past in self._hands[side] if begin < past[0] < seconds]
        if place is None or (track and seconds - track[-1][0] > _GAP_SECONDS):
            track = []  # the hand was lowered
        if place is not None and math.isfinite(place):
            track.append((seconds, place))
        self._hands[side] = track


def forearm_sideways(joints: Array, confidence: Array, side: str, up: Float64) -> float | None:
    """Return how far the forearm of the `left` or `right` arm points to the person's left, -1 to 1.

    None: the person is not upright, or the hand not above shoulder and elbow. NaN: unknown.
    Arguments are those of Waving.update.
    """
    shoulder, elbow, wrist = arm(side)
    if not observed(joints, confidence, shoulder, elbow, wrist):
        return math.nan
    along = spine(joints)
    if along @ up < MIN_UPRIGHT:
        return None
    forearm = joints[wrist] - joints[elbow]
    if forearm @ along < 0.0 or (joints[wrist] - joints[shoulder]) @ along < 0.0:
        return None
    return float(unit(forearm) @ leftwards(joints))


def _swings(track: Track) -> int:
    """Return how often a hand changed sides."""
    count, heading, low, high = 0, 0, math.inf, -math.inf
    for _, place in track:
        low, high = min(low, place), max(high, place)
        if heading <= 0 and place - low > _SWING:
            count, heading, high = count + 1, 1, place
        elif heading >= 0 and high - place > _SWING:
            count, heading, low = count + 1, -1, place
    return count
