# SPDX-License-Identifier: Apache-2.0
"""A search for people in a thread of its own, while the rest of the pipeline runs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import ParamSpec

from pear_ros.core.estimator import Detection

_Inputs = ParamSpec("_Inputs")


class BackgroundSearch:
    """At most one search at a time, in a thread of its own; not thread-safe."""

    def __init__(self) -> None:
        """Make the thread, which starts with the first search."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="detector")
        self._pending: Future[list[Detection]] | None = None

    def start(
        self,
        detect: Callable[_Inputs, list[Detection]],
        *inputs: _Inputs.args,
        **options: _Inputs.kwargs,
    ) -> None:
        """Start a search, `detect` with its arguments; the last one has to be finished."""
        self._pending = self._thread.submit(detect, *inputs, **options)

    def finish(self) -> list[Detection] | None:
        """Wait for the search and return its detections; None: there was no search."""
        pending, self._pending = self._pending, None
        return pending.result() if pending else None

    def drop(self) -> None:
        """Wait for the search and forget it: what it raised concerns nobody any more."""
        pending, self._pending = self._pending, None
        if pending:
            wait([pending])

    def state(self) -> list[Detection] | None:
        """Wait for the search and return its detections, which remain to be fetched; else None."""
        return self._pending.result() if self._pending else None

    def restore(self, found: list[Detection] | None) -> None:
        """Replace the search by one that has finished, whose `state` was `found`."""
        self.drop()
        if found is not None:
            self._pending = Future()
            self._pending.set_result(found)

    def close(self) -> None:
        """Stop the thread; there can be no search afterwards."""
        self._thread.shutdown()
