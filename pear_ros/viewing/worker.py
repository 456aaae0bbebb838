# SPDX-License-Identifier: Apache-2.0
"""A thread that does one piece of work again and again, when it is due or woken."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pear_ros.core.log import get_logger

logger = get_logger(__name__)


class Worker:
    """Calls a function in a thread of its own until it is closed; wake-ups do not queue."""

    def __init__(self, work: Callable[[], float], name: str) -> None:
        """`work` returns the seconds after which it is due again; `start` begins."""
        self._work = work
        self._woken = threading.Condition()
        self._due, self._closed = True, False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Make the work due now."""
        with self._woken:
            self._due = True
            self._woken.notify()

    def close(self) -> None:
        """End the thread after the present call of its function."""
        with self._woken:
            self._closed = True
            self._woken.notify()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=5.0)

    @property
    def closed(self) -> bool:
        """Whether `close` was called: long work ends early then."""
        return self._closed

    def _run(self) -> None:
        seconds = 0.0
        while True:
            with self._woken:
                self._woken.wait_for(lambda: self._due or self._closed, seconds)
                if self._closed:
                    return
                self._due = False
            try:
                seconds = self._work()
            except Exception:
                if self._closed:  # A browser left while it was written to.
                    return
                logger.exception("A browser was not shown the newest state")
                seconds = 1.0
