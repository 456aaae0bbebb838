# SPDX-License-Identifier: Apache-2.0
"""Counts of what became of the images that arrived, and how long each stage took."""

from __future__ import annotations

import statistics
import time
from collections import Counter, deque
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
    missing_detections: int = 0
    """Processed images whose detections had not come in time."""
    late_detections: int = 0
    """Messages of detections that came after their image was processed."""
    missing_depth: int = 0
    """Processed images whose depth image had not come in time, or could not be used."""
    late_depth: int = 0
    """Depth images that came after their image was processed."""
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
    """Counts and times. Each count has one thread that writes it at a time: no lock is needed."""

    def __init__(self) -> None:
        self._counts = Counter[str]()
        self._arrivals: dict[str, float] = {}
        self._seconds = {stage: deque[float](maxlen=_WINDOW) for stage in STAGES}

    def count(self, name: str, by: int = 1) -> None:
        """Adds to one of the counts of Statistics."""
        self._counts[name] += by

    def arrived(self, kind: str) -> None:
        """Notes that a message of this kind has just come."""
        self._arrivals[kind] = time.perf_counter()

    def silence(self, kind: str) -> float:
        """Seconds since the last message of this kind; infinite where none has come."""
        return time.perf_counter() - self._arrivals.get(kind, float("-inf"))

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
        medians = {
            stage: 1e3 * statistics.median(list(seconds))
            for stage, seconds in self._seconds.items()
            if seconds
        }
        return Statistics(**self._counts, stage_ms=medians)
