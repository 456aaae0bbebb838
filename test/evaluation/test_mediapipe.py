# SPDX-License-Identifier: Apache-2.0
"""MediaPipe as a baseline: its environment. What it finds is not tested, as it is a download."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path
from typing import Any

import pytest

from pear_ros.evaluation.mediapipe import BaselineError, mediapipe_python


def test_a_cache_that_cannot_be_written_has_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").touch()
    monkeypatch.setenv("PEAR_ROS_CACHE", str(tmp_path / "cache"))
    with pytest.raises(BaselineError, match=r"cache/mediapipe-venv.*check that it can be written"):
        mediapipe_python()


def test_a_python_without_pip_has_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def create(*_: Any, **__: Any) -> None:  # as on Ubuntu without the package python3-venv
        raise subprocess.CalledProcessError(1, ["python", "-m", "ensurepip"])

    monkeypatch.setenv("PEAR_ROS_CACHE", str(tmp_path))
    monkeypatch.setattr(venv, "create", create)
    with pytest.raises(BaselineError, match="apt install python3-venv"):
        mediapipe_python()
