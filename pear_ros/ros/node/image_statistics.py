# SPDX-License-Identifier: Apache-2.0
"""Statistics of the images that arrived: counts by outcome, and durations of the stages."""

from __future__ import annotations

import statistics
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from pear_ros.core.bounded_counts import count

STAGES = ("decode", "estimate", "mesh", "draw", "publish", "total")
"""Stages of an image, from decoding to publishing; total: from its arrival to the end."""

_WINDOW = 300


@dataclass(frozen=True)
class Statistics:
    """Statistics at one moment. Each received image is in one outcome, or still waiting."""

    lost: int = 0
    """Images that the middleware reported as lost, mostly too large for its transport."""
    received: int = 0
    """Images received."""
    processed: int = 0
    """Images processed."""
    dropped: int = 0
    """Images that a newer one replaced before they were processed."""
    refused: int = 0
    """Images that could not be decoded."""
    failed: int = 0
    """Images for which an error was raised."""
    unwatched: int = 0
    """Images that were not processed, as no result had a subscriber."""
    people: int = 0
    """Sum of people over all processed images, without those who were just lost."""
    missing_detections: int = 0
    """Processed images without detections that arrived in time and could be read."""
    late_detections: int = 0
    """Messages with detections that arrived after their image was processed."""
    missing_depth: int = 0
    """Processed images without a depth image that arrived in time and could be used."""
    late_depth: int = 0
    """Depth images that arrived after their image was processed."""
    issues: Mapping[str, int] = field(default_factory=dict)
    """Images by what they lacked, what was odd in their inputs, and why they were refused."""
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    """Median duration over the last 300 images in milliseconds, by stage; absent if never run."""

    def __str__(self) -> str:
        stages = ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in self.stage_ms.items())
        return (
            f"{self.received} images: {self.processed} processed, {self.dropped} dropped, "
            f"{self.refused} refused, {self.failed} failed, {self.unwatched} without a subscriber; "
            f"{self.lost} lost by the middleware; {stages or 'no timings yet'}"
        )


class StatisticsCollector:
    """Collect counts and durations.

    No lock is needed: each count is written by one thread at a time.
    """

    def __init__(self) -> None:
        self._counts = Counter[str]()
        self._issues = Counter[str]()
        self._arrivals: dict[str, float] = {}
        self._seconds = {stage: deque[float](maxlen=_WINDOW) for stage in STAGES}

    def count(self, name: str, by: int = 1) -> None:
        """Add `by` to one of the counts of Statistics."""
        self._counts[name] += by

    def count_issue(self, name: str) -> str:
        """Count an image with the issue `name`, or with others where there are too many names.

        Return under which name it was counted.
        """
        return count(self._issues, name)

    def record_arrival(self, kind: str) -> None:
        """Record that a message of this kind has just arrived."""
        self._arrivals[kind] = time.perf_counter()

    def seconds_since_arrival(self, kind: str) -> float:
        """Return the seconds since the last message of this kind; infinite if none has arrived."""
        return time.perf_counter() - self._arrivals.get(kind, float("-inf"))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure one of STAGES, unless it raises."""
        start = time.perf_counter()
        yield
        self.add_duration(name, time.perf_counter() - start)

    def add_duration(self, name: str, seconds: float) -> None:
        """Add a duration in seconds of one of STAGES."""
        self._seconds[name].append(seconds)

    def snapshot(self) -> Statistics:
        """Return the statistics up to now."""
        medians = {
            stage: 1e3 * statistics.median(list(seconds))
            for stage, seconds in self._seconds.items()
            if seconds
        }
        return Statistics(**self._counts, issues=dict(self._issues), stage_ms=medians)
