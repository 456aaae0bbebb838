# SPDX-License-Identifier: Apache-2.0
"""ThrottledLogger: one warning a minute for each cause, with bounded memory."""

from __future__ import annotations

import pytest

from pear_ros.ros.node import throttled_logger
from pear_ros.ros.node.throttled_logger import ThrottledLogger


class Clock:
    """The module `time` with a time that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class Lines(list[str]):
    """A logger that keeps warnings."""

    warning = list.append


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(throttled_logger, "time", clock)
    return clock


def test_warning_of_a_cause_is_logged_once_a_minute(clock: Clock) -> None:
    lines = Lines()
    logger = ThrottledLogger(lines)
    for clock.now in (0.0, 59.0, 61.0, 62.0):
        logger.warning("a", f"a at {clock.now:.0f}")
        logger.warning("b", f"b at {clock.now:.0f}")
    assert lines == ["a at 0", "b at 0", "a at 61", "b at 61"]


def test_only_the_newest_causes_are_kept(clock: Clock) -> None:
    lines = Lines()
    logger = ThrottledLogger(lines)
    most = throttled_logger._MAX_CAUSES
    for number in range(10 * most):
        logger.warning(str(number), str(number))
    assert len(logger._last) == most
    assert len(lines) == 10 * most
    logger.warning(str(10 * most - 1), "the newest")
    logger.warning("0", "the oldest")
    assert lines[-1] == "the oldest"
