# SPDX-License-Identifier: Apache-2.0
"""The time of each image: its stamp where stamps make sense, else the time of its arrival.

The rule, for live images and for those of bags, whose arrival is their recording:

- Stamps that ascend about as fast as images arrive are the time, whatever their epoch.
- A stamp that is repeated, or comes late and fills a gap, is a moment after the one before.
- Stamps that jump forwards alone, as when a clock is set, are followed from there on; time goes on
  by the arrival.
- Stamps that jump backwards, as when a bag loops, reset all tracks.
- While stamps stand still, or alternate between several clocks, time goes on by the arrival.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

STILL = "stamps stand still"
"""Fault: stamps are equal, or ascend far more slowly than images arrive."""
SEVERAL_CLOCKS = "stamps of several clocks"
"""Fault: stamps jump back and forth."""
FORWARDS = "stamps jumped forwards"
"""Fault: this stamp is far later than the image before, which arrived just now."""

_SECOND = 1_000_000_000
_LEAST_STEP = 1_000_000
"""Nanoseconds from one image to the next at least: no time would make velocities infinite."""
_ASSUMED_STEP = 33_333_333
"""Nanoseconds from one image to the next where neither stamps nor arrivals tell."""
_LATE = _SECOND
"""Nanoseconds by which a stamp may be late without a reset."""
_RATIO = 100
"""Ratio of the steps of stamps and arrivals from which on one of them makes no sense."""
_JUMP = 2 * _SECOND
"""Nanoseconds from which on a step of stamps may be a jump."""
_STILL_STEPS = 5
"""Steps that are too slow, one after the other, from which on stamps stand still."""
_JUMPS = 3
"""Jumps within _WINDOW steps from which on there are several clocks."""
_WINDOW = 10
_GOOD_STEPS = 20
"""Steps that make sense, one after the other, after which stamps are the time again."""


class Tick(NamedTuple):
    """The time of one image."""

    time: float
    """Seconds; the stamp itself while stamps have always made sense."""
    reset: bool
    """Whether the stamps jumped backwards, so that all tracks end."""
    fault: str
    """STILL, SEVERAL_CLOCKS or FORWARDS; empty where the stamp makes sense."""


@dataclass
class FrameClock:
    """Give each image its time; it always ascends, except where all tracks are reset."""

    stamp: int | None = None
    """Stamp of the last image, nanoseconds; None: there was none."""
    arrival: int = 0
    """Arrival of the last image, nanoseconds."""
    time: int = 0
    """Time of the last image, nanoseconds."""
    offset: int = 0
    """Time minus stamp, nanoseconds, while stamps make sense."""
    by_arrival: str = ""
    """Fault for which time goes on by the arrival; empty while it goes on by stamps."""
    slow_steps: int = 0
    good_steps: int = 0
    jumps: deque[bool] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    recent: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    """Stamps and arrivals of the last images."""

    def __call__(self, stamp: int, arrival: int) -> Tick:
        """Return the time of the next image; `stamp` and `arrival`: nanoseconds, of any epoch."""
        reset, fault = False, ""
        if self.stamp is None:
            self.time = stamp
        else:
            step, passed = stamp - self.stamp, max(arrival - self.arrival, 0)
            slow = 0 <= step * _RATIO < passed or step == 0
            forwards = step > _JUMP and step > _RATIO * passed > 0
            late = -_LATE <= step < 0 and self._fills_a_gap(stamp)
            backwards = step < 0 and not late
            self.slow_steps = self.slow_steps + 1 if slow else 0
            self.jumps.append(forwards or backwards)
            good = not (slow or forwards or backwards)
            self.good_steps = self.good_steps + 1 if good else 0
            if not self.by_arrival:
                self.by_arrival = self._fault(stamp, arrival, backwards)
            elif self.good_steps >= _GOOD_STEPS:
                self.by_arrival, self.offset = "", self.time + max(step, _LEAST_STEP) - stamp
                self.jumps.clear()
            if self.by_arrival or forwards:
                fault = self.by_arrival or FORWARDS
                self.time += max(passed, _LEAST_STEP) if passed else _ASSUMED_STEP
                self.offset = self.time - stamp
            elif backwards:
                reset, self.offset, self.time = True, 0, stamp
            else:
                self.time = max(stamp + self.offset, self.time + _LEAST_STEP)
        self.stamp, self.arrival = stamp, arrival
        self.recent.append((stamp, arrival))
        return Tick(1e-9 * self.time, reset, fault)

    def _fills_a_gap(self, stamp: int) -> bool:
        """Whether `stamp` is a new one between those of the last images."""
        before = [one for one, _ in self.recent]
        return min(before) < stamp and stamp not in before

    def _fault(self, stamp: int, arrival: int, backwards: bool) -> str:
        """Why time has to go on by the arrival from this image on; empty if it need not."""
        unset = stamp <= 0 and self.slow_steps > 0
        if unset or self.slow_steps >= _STILL_STEPS:
            return STILL
        if sum(self.jumps) >= _JUMPS or (backwards and self._is_of_earlier_clock(stamp, arrival)):
            return SEVERAL_CLOCKS
        return ""

    def _is_of_earlier_clock(self, stamp: int, arrival: int) -> bool:
        """Whether `stamp` goes on from one of the images before the last, as of another clock."""
        assert self.stamp is not None
        jump = abs(self.stamp - stamp)
        return any(
            abs(stamp - before - (arrival - then)) < 0.25 * jump
            for before, then in list(self.recent)[:-1]
        )
