# SPDX-License-Identifier: Apache-2.0
"""How far the building of an engine is. Imports nothing of TensorRT."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass

_ENOUGH = 0.02
"""Part of a build after which the time that is left can be guessed."""


@dataclass(frozen=True)
class BuildProgress:
    """How far the building of an engine is."""

    phase: str
    """What TensorRT says that it does."""
    done: float
    """From 0 to 1; never less than before."""
    seconds_left: float
    """As if all steps took the same time, and the one at hand as long again as it took so far; NaN
    where nothing can be said yet. Steps differ much: this is rough."""


@dataclass
class _Phase:
    steps: int
    parent: str | None
    done: int = 0


class Phases:
    """Phases of a build, one in another, told by any thread and asked by any other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: dict[str, _Phase] = {}
        self._name = "starting"
        self._done = 0.0
        self._start = self._last_step = time.monotonic()

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """Phase `name` of `steps` steps begins, as one step of `parent`."""
        with self._lock:
            self._active[name] = _Phase(max(steps, 1), parent)
            self._name = name
            self._measure()

    def step(self, name: str, number: int) -> None:
        """Step `number`, from 0, of phase `name` is done."""
        with self._lock:
            if phase := self._active.get(name):
                phase.done = number + 1
                self._last_step = time.monotonic()
                self._measure()

    def finish(self, name: str) -> None:
        """Phase `name` is over."""
        with self._lock:
            self._active.pop(name, None)

    def progress(self) -> BuildProgress:
        """How far all of it is."""
        with self._lock:
            return BuildProgress(self._name, self._done, self._seconds_left())

    def _seconds_left(self) -> float:
        if self._done < _ENOUGH:
            return math.nan
        now = time.monotonic()
        return max((now - self._start) * (1.0 - self._done) / self._done, now - self._last_step)

    def _measure(self) -> None:
        """A phase is as far as its own steps, and the farthest of those inside it, tell."""
        within: dict[str | None, float] = {}
        # Phases begin after those that they are part of.
        for name, phase in reversed(self._active.items()):
            part = min((phase.done + within.get(name, 0.0)) / phase.steps, 1.0)
            within[phase.parent] = max(within.get(phase.parent, 0.0), part)
        self._done = max(self._done, within.get(None, 0.0))
