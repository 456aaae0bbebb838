# SPDX-License-Identifier: Apache-2.0
"""Choice of the estimator, and errors when PEAR is not available."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pear_ros.core.camera import Camera
from pear_ros.core.configuration import EstimatorChoice, EstimatorError
from pear_ros.core.people import Image
from pear_ros.estimators.factory import make_estimator, make_estimators
from pear_ros.io.downloads import demo_clip
from pear_ros.io.video import FrameSource
from pear_ros.pipeline import Pipeline


def test_auto_takes_the_landmarks_where_there_are_no_files(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "pear_ros"):
        estimator = make_estimator(EstimatorChoice("auto", tmp_path))
    assert estimator.model_id.startswith("landmarks/")
    assert "auto takes the landmarks" in caplog.text
    assert "SMPLX_NEUTRAL_2020.npz" in caplog.text and str(tmp_path) in caplog.text


def test_pear_without_files_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(EstimatorError, match=r"7 files are missing[\s\S]*smpl-x\.is\.tue\.mpg\.de"):
        make_estimator(EstimatorChoice("pear", tmp_path))


def test_the_default_folder_is_named_by_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEAR_ROS_MODELS", str(tmp_path / "mine"))
    with pytest.raises(EstimatorError, match="mine"):
        make_estimator(EstimatorChoice("pear"))


def test_pipelines_in_threads_have_the_same_results() -> None:
    """On different images, equal to the last bit."""
    clip = FrameSource(str(demo_clip()))
    pictures = [image for _, (_, image) in zip(range(62), clip, strict=False)]
    videos = pictures[30:35], pictures[57:]

    def bits(pipeline: Pipeline, video: Sequence[Image]) -> list[tuple[str, bytes, bytes]]:
        camera = Camera.from_field_of_view(video[0].shape[1], video[0].shape[0])
        pipeline.reset()
        people = [pipeline(image, camera, 0.1 * n).persons for n, image in enumerate(video)]
        return [
            (person.id, person.smplx.pose.tobytes(), person.joints.tobytes())
            for persons in people
            for person in persons
        ]

    def pipelines() -> list[Pipeline]:
        return [Pipeline(one) for one in make_estimators(EstimatorChoice("landmarks"), 2)]

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(bits, pipelines(), videos))
        assert all(together)
        assert together == list(map(bits, pipelines(), videos))
