# SPDX-License-Identifier: Apache-2.0
"""Warnings that do not flood the log."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Any

_PERIOD_SECONDS = 60.0
_MAX_CAUSES = 100
"""Number of causes that are kept; some of them contain names of other nodes and topics."""


class ThrottledLogger:
    """Log a warning at most once a minute for each cause.

    rclpy throttles by the line of code that logs; here one line logs warnings of many causes. May
    be called from several threads, which may then log a warning twice.
    """

    def __init__(self, logger: Any) -> None:
        """Log to `logger`, that of a node."""
        self._logger = logger
        self._last: OrderedDict[str, float] = OrderedDict()
        """Monotonic time of the last warning of each cause, seconds, the oldest first."""

    def warning(self, cause: str, text: str) -> None:
        """Log `text`, unless a warning of the same `cause` was logged within the last minute."""
        now = time.monotonic()
        if now - self._last.get(cause, float("-inf")) >= _PERIOD_SECONDS:
            self._last[cause] = now
            self._last.move_to_end(cause)
            if len(self._last) > _MAX_CAUSES:
                self._last.popitem(last=False)
            self._logger.warning(text)
