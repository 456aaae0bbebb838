# SPDX-License-Identifier: Apache-2.0
"""Pictures that cannot be read: each is refused with a short reason."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from pear_ros.io.pictures import PictureError, read_picture
from pear_ros.io.video import FrameSource, VideoError
from testing.forged_pictures import png_of


def test_a_picture_is_read(tmp_path: Path) -> None:
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), image)


def test_each_reason_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "huge.png").write_bytes(png_of(100_000, 100_000))
    (tmp_path / "folder.png").mkdir()
    reasons = {
        "text.jpg": r"^cannot be decoded$",
        "huge.png": r"^cannot be decoded \(.+\)$",
        "folder.png": r"^cannot be read \(Is a directory\)$",
        "none.png": r"^does not exist$",
        "n" * 300: r"^cannot be read \(File name too long\)$",
    }
    for name, reason in reasons.items():
        with pytest.raises(PictureError, match=reason):
            read_picture(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_picture_that_may_not_be_read_is_not_called_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.touch(mode=0)
    with pytest.raises(PictureError, match=r"cannot be read \(Permission denied\)"):
        read_picture(path)


def test_a_source_of_a_size_that_opencv_refuses_is_an_error_of_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "huge.png").write_bytes(png_of(100_000, 100_000))
    with pytest.raises(VideoError, match=r"huge\.png is damaged: it begins like an image, but"):
        FrameSource(str(tmp_path / "huge.png"))
