# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests of replay."""

from __future__ import annotations

import pytest


@pytest.fixture
def trials_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that try images are forked: they start at once, and have the test's plants."""
    trial = pytest.importorskip("pear_ros.replay.trial", reason="needs ROS 2")
    monkeypatch.setattr(trial, "_START_METHOD", "fork")
