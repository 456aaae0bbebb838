# SPDX-License-Identifier: Apache-2.0
"""Times within a bag."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stretch:
    """A time of a bag."""

    first: int
    """Nanoseconds, included."""
    last: int
    """Likewise."""

    def __contains__(self, time: int) -> bool:
        """Whether `time` is within it."""
        return self.first <= time <= self.last


def stretches(whole: Stretch, seconds: float | None) -> list[Stretch]:
    """`whole`, cut every so many seconds; None: not at all. None at all where it is empty."""
    if whole.last < whole.first:
        return []
    if seconds is None:
        return [whole]
    step = round(seconds * 1e9)
    firsts = range(whole.first, whole.last + 1, step)
    return [Stretch(first, min(first + step - 1, whole.last)) for first in firsts]
