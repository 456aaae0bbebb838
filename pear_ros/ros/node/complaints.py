# SPDX-License-Identifier: Apache-2.0
"""Warnings that do not flood the log."""

from __future__ import annotations

import time
from typing import Any

_REPEAT_SECONDS = 60.0


class Complaints:
    """Logs each cause once a minute at most. Two threads at once may log it twice: no harm."""

    def __init__(self, logger: Any) -> None:
        """`logger`: a node's."""
        self._logger = logger
        self._last: dict[str, float] = {}

    def __call__(self, cause: str, text: str) -> None:
        """Warns with `text`, unless `cause` was complained of a short while ago."""
        now = time.monotonic()
        if now - self._last.get(cause, float("-inf")) >= _REPEAT_SECONDS:
            self._last[cause] = now
            self._logger.warning(text)
