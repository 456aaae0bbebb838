# SPDX-License-Identifier: Apache-2.0
"""Which estimator is taken, and what is said when PEAR cannot be had."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pear_ros.choice import EstimatorChoice, EstimatorError
from pear_ros.estimators import make_estimator


def test_auto_takes_the_landmarks_where_there_are_no_files(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "pear_ros"):
        estimator = make_estimator(EstimatorChoice("auto", tmp_path))
    assert estimator.model_id.startswith("landmarks/")
    assert "auto takes the landmarks" in caplog.text
    assert "SMPLX_NEUTRAL_2020.npz" in caplog.text and str(tmp_path) in caplog.text


def test_pear_without_files_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(EstimatorError, match=r"7 files are missing[\s\S]*smpl-x\.is\.tue\.mpg\.de"):
        make_estimator(EstimatorChoice("pear", tmp_path))


def test_the_default_folder_is_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEAR_ROS_MODELS", str(tmp_path / "mine"))
    with pytest.raises(EstimatorError, match="mine"):
        make_estimator(EstimatorChoice("pear"))
