# SPDX-License-Identifier: Apache-2.0
"""Counts of what became of the images that arrived, and how long each stage took."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

STAGES = ("decode", "estimate", "mesh", "draw", "publish", "total")
"""Message to picture, to people, to meshes, to overlay, to messages sent; arrival to the end."""

_WINDOW = 300


@dataclass(frozen=True)
class Statistics:
    """A snapshot. Every image received is in one of the later counts, or still waiting."""

    lost: int = 0
    """Lost on the way here, as far as the middleware knows: mostly too big for its transport."""
    received: int = 0
    processed: int = 0
    dropped: int = 0
    """Displaced by a newer one before its turn came."""
    refused: int = 0
    """Could not be read."""
    failed: int = 0
    """The estimator raised an error."""
    unwatched: int = 0
    """Nobody subscribed to any result."""
    people: int = 0
    """Sum of people over all processed images, without those who were given up."""
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    """Median milliseconds over the last 300 processed images, by stage; absent: never run."""

    def __str__(self) -> str:
        stages = ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in self.stage_ms.items())
        return (
            f"{self.received} images: {self.processed} processed, {self.dropped} dropped, "
            f"{self.refused} refused, {self.failed} failed, {self.unwatched} with nobody watching; "
            f"{self.lost} lost on the way; {stages or 'no timings yet'}"
        )


class Recorder:
    """Counts and times. Each count has one thread that writes it, so no lock is needed."""

    def __init__(self) -> None:
        self.lost = self.received = self.processed = self.dropped = 0
        self.refused = self.failed = self.unwatched = self.people = 0
        self._seconds = {stage: deque[float](maxlen=_WINDOW) for stage in STAGES}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times one of STAGES; not counted when it raises."""
        start = time.perf_counter()
        yield
        self.add(name, time.perf_counter() - start)

    def add(self, name: str, seconds: float) -> None:
        """Enters a duration of one of STAGES."""
        self._seconds[name].append(seconds)

    def snapshot(self) -> Statistics:
        """The figures up to now."""
        return Statistics(
            self.lost,
            self.received,
            self.processed,
            self.dropped,
            self.refused,
            self.failed,
            self.unwatched,
            self.people,
            {
                stage: 1e3 * statistics.median(list(seconds))
                for stage, seconds in self._seconds.items()
                if seconds
            },
        )
