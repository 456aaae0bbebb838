# SPDX-License-Identifier: Apache-2.0
"""Time ranges within a bag."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TimeRange:
    """A range of recording times, both ends included."""

    first: int
    """First time in it, nanoseconds."""
    last: int
    """Last time in it, nanoseconds."""

    def __contains__(self, time: int) -> bool:
        """Return whether `time` (nanoseconds) is in the range."""
        return self.first <= time <= self.last

    def split(self, seconds: float | None) -> list[TimeRange]:
        """Return consecutive ranges of so many seconds; None: one range. An empty one has none."""
        if self.last < self.first:
            return []
        if seconds is None:
            return [self]
        step = round(seconds * 1e9)
        firsts = range(self.first, self.last + 1, step)
        return [TimeRange(first, min(first + step - 1, self.last)) for first in firsts]
