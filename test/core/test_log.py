# SPDX-License-Identifier: Apache-2.0
"""The package's loggers propagate, whatever was done to Python's logging before."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pear_ros.core.log import get_logger, package_logger

PACKAGE = Path(__file__).parents[2] / "pear_ros"


class Mute(logging.Logger):
    """What ROS 2's `launch` makes the class of all further loggers."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.propagate = False


@pytest.fixture
def as_under_launch() -> Iterator[None]:
    before = logging.getLoggerClass()
    logging.setLoggerClass(Mute)
    yield
    logging.setLoggerClass(before)


def test_get_logger_propagates_after_launch_is_imported(
    as_under_launch: None, caplog: pytest.LogCaptureFixture
) -> None:
    logger = get_logger(f"pear_ros.{uuid.uuid4().hex}")
    listener = logging.Handler()
    arrived: list[logging.LogRecord] = []
    listener.emit = arrived.append  # type: ignore[method-assign]
    package_logger.addHandler(listener)
    try:
        logger.warning("attention")
    finally:
        package_logger.removeHandler(listener)
    assert [record.getMessage() for record in arrived] == ["attention"]
    assert caplog.messages == ["attention"]


def test_get_logger_leaves_the_logger_class(as_under_launch: None) -> None:
    get_logger(f"pear_ros.{uuid.uuid4().hex}")
    assert logging.getLoggerClass() is Mute


def test_get_logger_keeps_the_configuration_of_loggers() -> None:
    logger = logging.getLogger(f"pear_ros.{uuid.uuid4().hex}")
    logger.propagate = False
    assert get_logger(logger.name) is logger and not logger.propagate


def test_modules_use_get_logger() -> None:
    files = {file for file in PACKAGE.rglob("*.py") if "get_logger(__name__)" in file.read_text()}
    assert len(files) > 10
    assert not [file for file in PACKAGE.rglob("*.py") if "getLogger(__name__)" in file.read_text()]
