# SPDX-License-Identifier: Apache-2.0
"""The package's loggers, all below `pear_ros`."""

from __future__ import annotations

import logging


def get_logger(name: str) -> logging.Logger:
    """Return the logger of this name, which propagates to the loggers above it.

    logging.getLogger does not suffice: once ROS 2's `launch` is imported, it makes loggers that do
    not propagate.
    """
    current = logging.getLoggerClass()
    logging.setLoggerClass(logging.Logger)
    try:
        return logging.getLogger(name)
    finally:
        logging.setLoggerClass(current)


package_logger = get_logger("pear_ros")
"""The root of the package's loggers: attach handlers here."""
