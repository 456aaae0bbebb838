# SPDX-License-Identifier: Apache-2.0
"""Time ranges within a bag."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stretch:
    """A range of recording times."""

    first: int
    """First time in it, nanoseconds."""
    last: int
    """Last time in it, nanoseconds."""

    def __contains__(self, time: int) -> bool:
        """Return whether `time` (nanoseconds) is in the range."""
        return self.first <= time <= self.last


def stretches(whole: Stretch, seconds: float | None) -> list[Stretch]:
    """Return `whole` cut into ranges of so many seconds (None: one range); [] where it is empty."""
    if whole.last < whole.first:
        return []
    if seconds is None:
        return [whole]
    step = round(seconds * 1e9)
    firsts = range(whole.first, whole.last + 1, step)
    return [Stretch(first, min(first + step - 1, whole.last)) for first in firsts]
