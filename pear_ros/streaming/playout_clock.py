# SPDX-License-Identifier: Apache-2.0
"""The clock of a stream: which moment of the images' time is sent now.

Images arrive with varying latency. As in a de-jitter buffer, the stream runs behind the images that
arrived fastest by a fixed playout delay, which covers the time between images and their jitter.
"""

from __future__ import annotations

from collections import deque

_WINDOW_SECONDS = 3.0
"""Time over which the least latency is taken."""
_JUMP_SECONDS = 1.0
"""Change of latency that is a jump of the stamps."""


class PlayoutClock:
    """Converts the time at which a stream sends to the images' stamps."""

    def __init__(self, delay: float) -> None:
        """Run `delay` seconds behind the images with the least latency."""
        self._delay = delay
        self._latencies: deque[tuple[float, float]] = deque()
        self._time: float | None = None

    def arrived(self, stamp: float, now: float) -> None:
        """Take an image with a `stamp` that arrived `now`, seconds of any two clocks."""
        latency = now - stamp
        if self._latencies and abs(latency - self._least()) > _JUMP_SECONDS:
            self._latencies.clear()
            self._time = None
        self._latencies.append((now, latency))
        while now - self._latencies[0][0] > _WINDOW_SECONDS:
            self._latencies.popleft()

    def time(self, now: float) -> float | None:
        """Return the stamp that is due `now`; it never decreases, unless stamps jump.

        None: no image has arrived.
        """
        if not self._latencies:
            return None
        due = now - self._least() - self._delay
        self._time = due if self._time is None else max(due, self._time)
        return self._time

    def _least(self) -> float:
        return min(latency for _, latency in self._latencies)
