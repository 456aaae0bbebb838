# SPDX-License-Identifier: Apache-2.0
"""Progress of a build, as the log tells it."""

from __future__ import annotations

import logging
import math

import pytest

from pear_ros.pear.runtimes.build_progress import BuildProgress, ProgressLog, time_left


def test_progress_goes_to_the_log_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log = ProgressLog(interval=3600.0)
    log(BuildProgress("tactics", 0.5, 100.0))
    assert not caplog.messages
    log = ProgressLog(interval=0.0)
    log(BuildProgress("tactics", 0.25, 150.0))
    log(BuildProgress("hashing", 0.5, math.nan))
    assert caplog.messages == ["25 %, about 2 min left: tactics", "50 %: hashing"]
    assert time_left(89.0) == "89 s"
