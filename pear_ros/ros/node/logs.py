# SPDX-License-Identifier: Apache-2.0
"""What the core logs, in the node's log."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from pear_ros.core.log import package_logger


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
    level, forward = package_logger.level, _Forward(logger)
    package_logger.addHandler(forward)
    package_logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        package_logger.removeHandler(forward)
        package_logger.setLevel(level)
