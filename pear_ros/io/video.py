# SPDX-License-Identifier: Apache-2.0
"""Reading of images, video files and cameras in one way, and writing of H.264 video."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from pear_ros.core.log import get_logger
from pear_ros.core.people import Image
from pear_ros.io.output_files import OutputFile, naming
from pear_ros.io.pictures import PictureError, read_picture

VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v", ".mpg", ".mpeg"})
"""Suffixes, in small letters, of the files in a folder that are taken for videos."""

_logger = get_logger(__name__)


class VideoError(OSError):
    """A source that cannot be read, or a video that cannot be written; the text says why."""


class FrameSource:
    """The frames of one image file, video file or camera: an iterable of (stamp, image).

    Stamps are seconds since the first frame: presentation times of a file, arrival times of a
    camera. Images are (H, W, 3) uint8 BGR, rotated by the quarter turns that a file specifies. A
    camera delivers frames until it is unplugged.
    """

    def __init__(self, source: str) -> None:
        """Open a file, or the camera with a number (0 is the first).

        Raises VideoError where there is no such file or camera, or no frame can be read.
        """
        path = Path(source)
        self.name = path.stem
        """File name without its suffix, or `camera` and its number."""
        self.is_still = False  # Whether it is a single image.
        self.is_camera = False
        self.frame_count: int | None = None
        """Number of frames; None where it is unknown, as for Matroska files."""
        self.frame_rate: float | None = None
        """Average frame rate, Hz; None where it is unknown."""
        self._frames: Iterator[tuple[float, Image]]
        if source.isdecimal() and not path.exists():
            camera = _Camera(int(source))
            self.is_camera = True
            self.name, self.frame_rate = f"camera{source}", camera.frame_rate
            self._frames = camera.frames()
        elif not path.is_file():
            what = "is a folder, not a file" if path.is_dir() else "does not exist"
            raise VideoError(f"{source} {what}; give an image, a video or a camera's number")
        elif cv2.haveImageReader(source):
            self.is_still, self.frame_count = True, 1
            self._frames = iter([(0.0, _read_still(path))])
        else:
            video = _Video(source)
            self.frame_rate, self.frame_count = video.frame_rate, video.frame_count
            self._frames = video.frames()

    def __iter__(self) -> Iterator[tuple[float, Image]]:
        """Return the only iterator over the frames, which closes the source at its end."""
        return self._frames


def _read_still(path: Path) -> Image:
    try:
        return read_picture(path)
    except PictureError as error:
        raise VideoError(f"{path} is damaged: it begins like an image, but {error}") from error


class _Camera:
    """A camera of this machine; stamps are the arrival times of its frames."""

    def __init__(self, number: int) -> None:
        """Open the camera. Raises VideoError where it delivers no frame."""
        self._capture = cv2.VideoCapture(number)
        readable, first = self._capture.read() if self._capture.isOpened() else (False, None)
        if not readable:
            self._capture.release()
            raise VideoError(f"camera {number} cannot be opened; is it plugged in and free?")
        self._first: Any = first
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.frame_rate = rate if 0.0 < rate < 1000.0 else None

    def frames(self) -> Iterator[tuple[float, Image]]:
        """Yield all frames, beginning with the one that the constructor read."""
        start = time.monotonic()
        stamp, readable, image = 0.0, True, self._first
        try:
            while readable:
                yield stamp, image
                readable, image = self._capture.read()
                stamp = time.monotonic() - start
        finally:
            self._capture.release()


class _Video:
    """The first video stream of a file.

    Decoded by PyAV: OpenCV up to 4.6 reports uniform times for files of variable rate.
    """

    def __init__(self, path: str) -> None:
        """Open the file. Raises VideoError where no frame can be decoded."""
        self._path = path
        problem = f"{path} is neither an image nor a video that can be decoded"
        try:
            # Metadata in unknown encodings must not prevent decoding.
            self._container = av.open(path, metadata_errors="replace")
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(problem) from error
        first = None
        if self._container.streams.video:
            self._stream = self._container.streams.video[0]
            self._stream.thread_type = "AUTO"
            self._decoded = self._decode()
            first = next(self._decoded, None)
        if first is None:
            self._container.close()
            raise VideoError(problem)
        self._first = first
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.frame_rate = float(rate) if rate else None
        self.frame_count = self._stream.frames or None

    def frames(self) -> Iterator[tuple[float, Image]]:
        """Yield all frames, beginning with the one that the constructor decoded."""
        start, stamp = self._first.time, 0.0
        try:
            yield stamp, upright(self._first)
            for frame in self._decoded:
                stamp = self._stamp(frame, start, stamp)
                yield stamp, upright(frame)
        finally:
            self._container.close()

    def _stamp(self, frame: av.VideoFrame, start: float | None, previous: float) -> float:
        """Return seconds from `start` to `frame`, always greater than `previous`."""
        if start is not None and frame.time is not None and frame.time - start > previous:
            return frame.time - start
        return previous + 1.0 / (self.frame_rate or 30.0)  # some containers have no times

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Yield all frames that can be decoded; log a warning at the end of a damaged file."""
        damage: av.FFmpegError | None = None
        try:
            for packet in self._container.demux(self._stream):
                try:
                    frames = packet.decode()
                except av.InvalidDataError as error:
                    damage = error
                    continue  # as players do: later frames may be fine
                yield from frames
        except av.FFmpegError as error:
            damage = error
        if damage is not None:
            _logger.warning("%s is damaged, frames are missing: %s", self._path, damage.strerror)


_QUARTER_TURNS = {
    1: cv2.ROTATE_90_COUNTERCLOCKWISE,
    2: cv2.ROTATE_180,
    3: cv2.ROTATE_90_CLOCKWISE,
}


def upright(frame: av.VideoFrame) -> Image:
    """Return the frame as (H, W, 3) uint8 BGR, contiguous, rotated as the file specifies."""
    # One thread: waking several takes longer than the conversion.
    image: Any = frame.to_ndarray(format="bgr24", threads=1)
    turns = round(frame.rotation / 90) % 4  # counterclockwise
    if turns:
        image = cv2.rotate(image, _QUARTER_TURNS[turns])
    return np.ascontiguousarray(image)  # rows of some widths are padded


class VideoWriter(OutputFile):
    """A writer of H.264 video (mp4, yuv420p) that players and browsers open; a context manager.

    Frames keep their stamps, so the video plays at the speed of its source. The file gets its name
    when it is complete; one of that name, or a link, is replaced.
    """

    _TICKS = 90_000

    def __init__(self, path: Path, frame_rate: float | None = None) -> None:
        """Create the file; `frame_rate`: a hint for the encoder, Hz, None where it varies.

        Raises VideoError where the file cannot be created.
        """
        self._rate = Fraction(frame_rate or 30.0).limit_denominator(1001)
        self._last = -1
        self._stream: Any = None
        self._container: Any = None
        try:
            super().__init__(path)
        except OSError as error:
            raise VideoError(f"{path} cannot be written: {error.strerror}") from error

    def write(self, stamp_seconds: float, image: Image) -> None:
        """Append an image (H, W, 3) uint8 BGR; all images have one size, odd sizes are padded.

        Raises VideoError where this build of PyAV has no H.264 encoder, OSError, which names the
        file, where it cannot be written.
        """
        height, width = image.shape[:2]
        even: Any = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        if self._stream is None:
            self._stream = self._add_stream(*even.shape[:2])
        frame = av.VideoFrame.from_ndarray(even, format="bgr24")
        frame.time_base = Fraction(1, self._TICKS)
        frame.pts = self._last = max(self._last + 1, round(stamp_seconds * self._TICKS))
        with naming(self._path):
            self._container.mux(self._stream.encode(frame))

    def _add_stream(self, height: int, width: int) -> Any:
        try:
            stream: Any = self._container.add_stream("libx264", rate=self._rate)
        except (ValueError, av.FFmpegError) as error:
            raise VideoError(
                f"this build of PyAV has no H.264 encoder ({error}); install PyAV from its wheel: "
                "pip install av"
            ) from error
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, self._TICKS)
        stream.options = {"preset": "veryfast", "crf": "21"}
        return stream

    def _open(self, draft: Path) -> None:
        options = {"movflags": "faststart"}
        self._container = av.open(str(draft), "w", format="mp4", options=options)

    def _finish(self) -> None:
        with self._container:
            if self._stream is not None:  # the encoder has buffered frames
                self._container.mux(self._stream.encode(None))

    def _abandon(self) -> None:
        self._container.close()
