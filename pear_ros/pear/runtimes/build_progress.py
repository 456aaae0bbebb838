# SPDX-License-Identifier: Apache-2.0
"""Progress of building a TensorRT engine. Does not import TensorRT."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from pear_ros.core.log import get_logger

_ENOUGH = 0.02
"""Fraction of a build after which the remaining time is estimated."""

logger = get_logger(__name__)


@dataclass(frozen=True)
class BuildProgress:
    """Progress of a build at one moment."""

    phase: str
    """TensorRT's name of the current phase."""
    done: float
    """Fraction from 0 to 1; it never decreases."""
    seconds_left: float
    """Estimated remaining time, seconds; NaN at the beginning. Rough: it assumes that all steps
    take the same time, and the current one as long again as it has taken."""


Progress: TypeAlias = Callable[[BuildProgress], None]
"""Called regularly with the progress of a file or an engine; an exception cancels the operation."""


@dataclass
class _Phase:
    steps: int
    parent: str | None
    done: int = 0


class Phases:
    """Nested phases of a build and their progress. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: dict[str, _Phase] = {}
        self._name = "starting"
        self._done = 0.0
        self._start = self._last_step = time.monotonic()

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """Begin phase `name` of `steps` steps, as one step of phase `parent`."""
        with self._lock:
            self._active[name] = _Phase(max(steps, 1), parent)
            self._name = name
            self._measure()

    def step(self, name: str, number: int) -> None:
        """Count step `number`, from 0, of phase `name` as done."""
        with self._lock:
            if phase := self._active.get(name):
                phase.done = number + 1
                self._last_step = time.monotonic()
                self._measure()

    def finish(self, name: str) -> None:
        """End phase `name`."""
        with self._lock:
            self._active.pop(name, None)

    def progress(self) -> BuildProgress:
        """Return the progress of the whole build."""
        with self._lock:
            return BuildProgress(self._name, self._done, self._seconds_left())

    def _seconds_left(self) -> float:
        if self._done < _ENOUGH:
            return math.nan
        now = time.monotonic()
        return max((now - self._start) * (1.0 - self._done) / self._done, now - self._last_step)

    def _measure(self) -> None:
        """Update the fraction done: of each phase its steps, plus its furthest nested phase."""
        within: dict[str | None, float] = {}
        # Nested phases begin after their parents.
        for name, phase in reversed(self._active.items()):
            part = min((phase.done + within.get(name, 0.0)) / phase.steps, 1.0)
            within[phase.parent] = max(within.get(phase.parent, 0.0), part)
        self._done = max(self._done, within.get(None, 0.0))


class ProgressLog:
    """Logs progress at intervals."""

    def __init__(self, interval: float = 15.0) -> None:
        """`interval` between two lines, seconds."""
        self._interval = interval
        self._last = time.monotonic()

    def __call__(self, progress: BuildProgress) -> None:
        """Log `progress`, if the interval has passed."""
        if (now := time.monotonic()) - self._last >= self._interval:
            self._last = now
            left = progress.seconds_left
            guess = f", about {time_left(left)} left" if math.isfinite(left) else ""
            logger.info("%.0f %%%s: %s", 100.0 * progress.done, guess, progress.phase)


def time_left(seconds: float) -> str:
    """Format an estimated remaining time in seconds as minutes or seconds."""
    return f"{seconds / 60.0:.0f} min" if seconds >= 90.0 else f"{seconds:.0f} s"
