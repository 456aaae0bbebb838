# SPDX-License-Identifier: Apache-2.0
"""What the core logs, in the node's log."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any


class _Forward(logging.Handler):
    def __init__(self, logger: Any) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        # One line of code for each severity, as rclpy wants it.
        if record.levelno >= logging.WARNING:
            self._logger.warning(record.getMessage())
        else:
            self._logger.info(record.getMessage())


@contextlib.contextmanager
def core_logs_to(logger: Any) -> Iterator[None]:
    """What the package logs by Python's logging meanwhile goes to a ROS `logger`."""
    source = logging.getLogger("pear_ros")
    level, forward = source.level, _Forward(logger)
    source.addHandler(forward)
    source.setLevel(logging.INFO)
    try:
        yield
    finally:
        source.removeHandler(forward)
        source.setLevel(level)
