# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests of commands."""

from __future__ import annotations

import pytest


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every library appears to be installed."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
