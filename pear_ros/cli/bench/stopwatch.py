# SPDX-License-Identifier: Apache-2.0
"""Times the parts of a pipeline from outside: parts that are not measured do not change."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Stopwatch:
    """Seconds of each stage, without those of stages within it: all stages add up.

    Counts what its own thread does. What others do meanwhile shows as far as it is waited for.
    """

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._within: list[float] = []
        self._seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times what is done within; the same stage may come several times."""
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
        """Times all calls of the attribute `part` of `owner`, a method or another part.

        Raises AttributeError where there is none.
        """
        setattr(owner, part, _Watched(getattr(owner, part), stage, self))

    def lap(self) -> dict[str, float]:
        """Seconds of each stage since the last lap."""
        seconds, self._seconds = dict(self._seconds), defaultdict(float)
        return seconds


class _Watched:
    """Stands in for a part: calls are timed, all else is the part's own."""

    def __init__(self, part: Any, stage: str, stopwatch: Stopwatch) -> None:
        self._part, self._stage, self._stopwatch = part, stage, stopwatch

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        with self._stopwatch.stage(self._stage):
            return self._part(*arguments, **keywords)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part, name)
