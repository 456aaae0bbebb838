# SPDX-License-Identifier: Apache-2.0
"""Reading pictures and videos, writing H.264, and what is said when that fails."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pear_ros.people import Image
from pear_ros.video import FrameSource, VideoError, VideoWriter


def shade_of_grey(value: int, height: int = 64, width: int = 96) -> Image:
    return np.full((height, width, 3), value, np.uint8)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Five frames that get brighter, at an uneven pace."""
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, frame_rate=10.0) as writer:
        for index, stamp in enumerate([0.0, 0.1, 0.2, 0.5, 0.6]):
            writer.write(stamp, shade_of_grey(40 + 40 * index))
    return path


def test_an_image_is_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), shade_of_grey(77))
    source = FrameSource(str(path))
    assert (source.name, source.is_still, source.frame_count) == ("picture", True, 1)
    ((stamp, image),) = source
    assert stamp == 0.0
    np.testing.assert_array_equal(image, shade_of_grey(77))


def test_a_written_video_reads_back_with_its_stamps_and_in_order(clip: Path) -> None:
    source = FrameSource(str(clip))
    assert (source.name, source.is_still, source.frame_count) == ("clip", False, 5)
    stamps, images = zip(*source, strict=True)
    np.testing.assert_allclose(stamps, [0.0, 0.1, 0.2, 0.5, 0.6], atol=1e-3)
    np.testing.assert_allclose([image.mean() for image in images], range(40, 240, 40), atol=4)


def test_videos_play_everywhere(clip: Path) -> None:
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    data = clip.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "starts to play before it is all there"


def test_odd_sizes_are_padded(tmp_path: Path) -> None:
    path = tmp_path / "odd.mp4"
    with VideoWriter(path) as writer:
        writer.write(0.0, shade_of_grey(90, 63, 95))
    ((_, image),) = FrameSource(str(path))
    assert image.shape == (64, 96, 3)
    assert image.mean() == pytest.approx(90, abs=3)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("absent.mp4", None, "does not exist"),
        ("text.mp4", b"not a video", "neither an image nor a video"),
        ("empty.png", b"", "neither an image nor a video"),
        ("half.png", b"\x89PNG\r\n\x1a\n" + bytes(40), "damaged"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_reason(
    tmp_path: Path, name: str, content: bytes | None, expected: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=expected) as raised:
        FrameSource(str(path))
    assert str(path) in str(raised.value)


def test_a_folder_and_an_absent_camera_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="is a folder"):
        FrameSource(str(tmp_path))
    with pytest.raises(VideoError, match="camera 97 cannot be opened"):
        FrameSource("97")


def test_a_video_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "no such folder" / "clip.mp4"
    with pytest.raises(VideoError, match="no such folder"):
        VideoWriter(path)
