# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C and SIGTERM end a command: without a traceback, and soon."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 128 + signal.SIGINT.value
"""Exit code of a command that Ctrl-C ended: 130."""
_PATIENCE_SECONDS = 1.5
"""Time for an orderly end after a signal."""


class Stop:
    """Whether a signal has asked the command to end."""

    def __init__(self) -> None:
        self.code: int | None = None
        """Exit code of the signal, 128 and its number; None without one."""


@contextmanager
def stopped_by_signals() -> Iterator[Stop]:
    """Let SIGINT and SIGTERM raise KeyboardInterrupt in this thread, the main one."""
    stop = Stop()

    def interrupt(number: int, _: object) -> None:
        stop.code = 128 + number
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ended_soon() -> Iterator[None]:
    """End the process soon after SIGINT or SIGTERM, even if it is within a library's function.

    Python itself would only see the signal when that function returns. For commands that may be
    killed at any time.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    ended = threading.Event()

    def watch() -> None:
        while numbers := os.read(reading, 1):
            number = numbers[0]
            if number in (signal.SIGINT, signal.SIGTERM) and not ended.wait(_PATIENCE_SECONDS):
                print("Stopped.", file=sys.stderr, flush=True)
                os._exit(128 + number)
        os.close(reading)

    threading.Thread(target=watch, name="stopping", daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(before)
        os.close(writing)
