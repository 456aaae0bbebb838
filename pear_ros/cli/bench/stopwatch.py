# SPDX-License-Identifier: Apache-2.0
"""A stopwatch that wraps parts of a pipeline from outside, which need no code for it."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Stopwatch:
    """Measures the time of each stage, without stages nested in it, so that stages add up.

    It measures the thread that created it, including its waiting for other threads.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._within: list[float] = []
        self._seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the time of the with statement's body to a stage; stages may be repeated."""
        if threading.get_ident() != self._thread:
            yield
            return
        self._within.append(0.0)
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self._seconds[name] += spent - self._within.pop()
            if self._within:
                self._within[-1] += spent

    def watch(self, owner: object, part: str, stage: str) -> None:
        """Time all calls of the attribute `part` of `owner`, a method or another callable.

        Raises AttributeError where there is none.
        """
        setattr(owner, part, _Watched(getattr(owner, part), stage, self))

    def lap(self) -> dict[str, float]:
        """Return the seconds of each stage since the last lap."""
        seconds, self._seconds = dict(self._seconds), defaultdict(float)
        return seconds


class _Watched:
    """A proxy of a part that times its calls."""

    def __init__(self, part: Any, stage: str, stopwatch: Stopwatch) -> None:
        self._part, self._stage, self._stopwatch = part, stage, stopwatch

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        with self._stopwatch.stage(self._stage):
            return self._part(*arguments, **keywords)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)
