# SPDX-License-Identifier: Apache-2.0
"""Reading of images and videos, writing of H.264, and their errors."""

from __future__ import annotations

import logging
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from pear_ros.core.people import Image
from pear_ros.io.video import FrameSource, VideoError, VideoWriter


def shade_of_grey(value: int, height: int = 64, width: int = 96) -> Image:
    return np.full((height, width, 3), value, np.uint8)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Five frames of increasing brightness at a variable rate."""
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, frame_rate=10.0) as writer:
        for index, stamp in enumerate([0.0, 0.1, 0.2, 0.5, 0.6]):
            writer.write(stamp, shade_of_grey(40 + 40 * index))
    return path


def test_image_is_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    cv2.imwrite(str(path), shade_of_grey(77))
    source = FrameSource(str(path))
    assert (source.name, source.is_still, source.frame_count) == ("picture", True, 1)
    ((stamp, image),) = source
    assert stamp == 0.0
    np.testing.assert_array_equal(image, shade_of_grey(77))


def test_video_writer_keeps_stamps_and_order(clip: Path) -> None:
    source = FrameSource(str(clip))
    assert (source.name, source.is_still, source.frame_count) == ("clip", False, 5)
    stamps, images = zip(*source, strict=True)
    np.testing.assert_allclose(stamps, [0.0, 0.1, 0.2, 0.5, 0.6], atol=1e-3)
    np.testing.assert_allclose([image.mean() for image in images], range(40, 240, 40), atol=4)


def write_clip(
    path: Path, codec: str, stamps_ms: list[int], rotation: int = 0, **options: str
) -> list[Image]:
    """Write a bright quarter on an increasingly bright ground; return the frames as displayed."""
    images = []
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        if rotation:
            stream.set_display_rotation(rotation)
        for index, stamp in enumerate(stamps_ms):
            image = shade_of_grey(5 * index)
            image[:32, :48] = 250
            images.append(np.rot90(image, rotation // 90))
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return images


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "webm"])
def test_frames_of_variable_rate_keep_their_times(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip.{suffix}"
    stamps_ms = [40, 140, 173, 640, 700, 733, 1900]
    codec = "libvpx-vp9" if suffix == "webm" else "libx264"
    written = write_clip(path, codec, stamps_ms)
    source = FrameSource(str(path))
    assert source.frame_count == (7 if suffix == "mp4" else None), "as far as the file says"
    stamps, images = zip(*source, strict=True)
    np.testing.assert_allclose(stamps, (np.array(stamps_ms) - 40) / 1e3, atol=1e-3)
    np.testing.assert_allclose(images, written, atol=25)  # edges are blurred


def test_the_frame_rate_is_the_average(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", "libx264", list(range(0, 1000, 100)))
    rate = FrameSource(str(tmp_path / "clip.mp4")).frame_rate
    assert rate == pytest.approx(10.0, rel=0.1)


def test_frames_without_times_come_at_the_frame_rate(tmp_path: Path) -> None:
    path = tmp_path / "clip.h264"
    write_clip(path, "libx264", [0, 100, 200])
    source = FrameSource(str(path))
    assert source.frame_rate is not None
    np.testing.assert_allclose([stamp * source.frame_rate for stamp, _ in source], [0, 1, 2])


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_video_is_rotated_as_the_file_specifies(tmp_path: Path, rotation: int) -> None:
    path = tmp_path / "clip.mp4"
    written = write_clip(path, "libx264", [0, 100], rotation)
    images = [image for _, image in FrameSource(str(path))]
    np.testing.assert_allclose(images, written, atol=25)
    assert all(image.flags.c_contiguous for image in images)


def test_damaged_video_is_read_as_far_as_possible(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, "libx264", list(range(0, 2000, 50)), movflags="faststart")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 4])
    with caplog.at_level(logging.WARNING, "pear_ros"):
        read = list(FrameSource(str(path)))
    assert 0 < len(read) < 40
    (message,) = caplog.messages
    assert message.startswith(f"{path} is damaged, frames are missing: ")


def test_video_without_frames_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        samples = np.zeros((1, 1024), np.float32)
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.rate, frame.pts = 44100, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match=r"sound\.mp4 is neither an image nor a video"):
        FrameSource(str(path))


def test_video_writer_uses_a_portable_format(clip: Path) -> None:
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
def test_unreadable_source_is_named_with_the_reason(
    tmp_path: Path, name: str, content: bytes | None, expected: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=expected) as raised:
        FrameSource(str(path))
    assert str(path) in str(raised.value)


def test_folder_and_absent_camera_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="is a folder"):
        FrameSource(str(tmp_path))
    with pytest.raises(VideoError, match="camera 97 cannot be opened"):
        FrameSource("97")


def test_unwritable_video_is_named(tmp_path: Path) -> None:
    path = tmp_path / "no such folder" / "clip.mp4"
    with pytest.raises(VideoError, match="no such folder"):
        VideoWriter(path)
