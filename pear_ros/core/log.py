# SPDX-License-Identifier: Apache-2.0
"""The package's loggers, all below `pear_ros`."""

from __future__ import annotations

import logging


def get_logger(name: str) -> logging.Logger:
    """Python's logger of this name; a new one hands its records on to the loggers above it.

    Plain logging.getLogger would not do: once ROS 2's `launch` is imported, it makes loggers that
    keep their records to themselves.
    """
    current = logging.getLoggerClass()
    logging.setLoggerClass(logging.Logger)
    try:
        return logging.getLogger(name)
    finally:
        logging.setLoggerClass(current)


package_logger = get_logger("pear_ros")
"""The one to attach handlers to: it gets what all modules log."""
