# SPDX-License-Identifier: Apache-2.0
"""Log records of the package's core, which is free of ROS, in the node's log and on /rosout."""

from __future__ import annotations

import logging
from typing import Any

from pear_ros.core.log import package_logger


class CoreLogs(logging.Handler):
    """Forward what the package logs by Python's logging to a ROS logger, until closed."""

    def __init__(self, logger: Any) -> None:
        """Forward records of severity INFO and above to `logger`, that of a node."""
        super().__init__(logging.INFO)
        self._logger = logger
        self._level = package_logger.level
        package_logger.addHandler(self)
        package_logger.setLevel(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record with the same severity."""
        # rclpy requires one line of code for each severity.
        if record.levelno >= logging.ERROR:
            self._logger.error(record.getMessage())
        elif record.levelno >= logging.WARNING:
            self._logger.warning(record.getMessage())
        else:
            self._logger.info(record.getMessage())

    def close(self) -> None:
        """Stop forwarding; may be called twice."""
        if self in package_logger.handlers:
            package_logger.removeHandler(self)
            if not any(isinstance(handler, CoreLogs) for handler in package_logger.handlers):
                package_logger.setLevel(self._level)
        super().close()
