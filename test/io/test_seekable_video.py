# SPDX-License-Identifier: Apache-2.0
"""Frames of a video by time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pear_ros.io.seekable_video import SeekableVideo
from pear_ros.io.video import FrameSource, VideoError, VideoWriter

COUNT = 60


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Frames that grow brighter, ten a second."""
    path = tmp_path / "video.mp4"
    with VideoWriter(path, 10.0) as writer:
        for n in range(COUNT):
            writer.write(n / 10, np.full((32, 48, 3), 4 * n, np.uint8))
    return path


def test_any_time_gives_its_frame(video: Path) -> None:
    expected = [image for _, image in FrameSource(str(video))]
    frames = SeekableVideo(video)
    for n in (0, 1, 2, 50, 3, 59, 58, 0, 30):
        np.testing.assert_array_equal(frames.at(n / 10 + 0.04), expected[n])
    np.testing.assert_array_equal(frames.at(1e3), expected[-1])
    np.testing.assert_array_equal(frames.at(-1.0), expected[0])
    frames.close()


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    for name in ("text.mp4", "nothing.mp4"):
        with pytest.raises(VideoError, match="is not a video"):
            SeekableVideo(tmp_path / name)
