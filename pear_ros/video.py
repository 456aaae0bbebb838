# SPDX-License-Identifier: Apache-2.0
"""Pictures in, video out: images, video files and cameras read alike; H.264 written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import cv2

from pear_ros.people import Image


class VideoError(OSError):
    """A source that cannot be read or a video that cannot be written; the text says why."""


class FrameSource:
    """Frames of one image file, video file or camera: iterate over (stamp_seconds, image).

    Stamps start near 0: presentation times of a file, seconds since the first frame of a camera.
    Images are BGR; orientation noted in a file is applied. A camera goes on until it is unplugged.
    """

    def __init__(self, source: str) -> None:
        """`source` is a file, or the number of a camera (0 is the first).

        Raises VideoError when there is no such file or camera, or it holds nothing readable.
        """
        self.name = source
        """File name without its suffix, or camera and its number."""
        self.is_still = False
        self.is_camera = False
        self.frame_count: int | None = None
        """How many frames there will be, as far as a file says."""
        self.frame_rate: float | None = None
        self._still: Any = None
        path = Path(source)
        if source.isdecimal() and not path.exists():
            self.is_camera = True
            self.name = f"camera{source}"
            self._capture = cv2.VideoCapture(int(source))
            problem = f"camera {source} cannot be opened; is it plugged in and free?"
        elif not path.is_file():
            what = "is a folder, not a file" if path.is_dir() else "does not exist"
            raise VideoError(f"{source} {what}; give an image, a video or a camera's number")
        elif cv2.haveImageReader(source):
            self.is_still = True
            self.name, self.frame_count = path.stem, 1
            self._still = cv2.imread(source, cv2.IMREAD_COLOR)
            if self._still is None:
                raise VideoError(f"{source} is damaged: it begins like an image but is none")
            return
        else:
            self.name = path.stem
            self._capture = cv2.VideoCapture(source)
            problem = f"{source} is neither an image nor a video that OpenCV can decode"
        readable, first = self._capture.read() if self._capture.isOpened() else (False, None)
        if not readable:
            self._capture.release()
            raise VideoError(problem)
        self._first: Any = first
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.frame_rate = rate if 0.0 < rate < 1000.0 else None
        self.frame_count = int(count) if count > 0 and not self.is_camera else None

    def __iter__(self) -> Iterator[tuple[float, Image]]:
        """All frames, once; the source is closed at their end."""
        if self.is_still:
            yield 0.0, self._still
            return
        start = time.monotonic()
        stamp = 0.0
        image: Any = self._first
        try:
            while True:
                yield stamp, image
                readable, image = self._capture.read()
                if not readable:
                    return
                stamp = self._stamp(start, stamp)
        finally:
            self._capture.release()

    def _stamp(self, start: float, previous: float) -> float:
        """Time of the frame just read; always later than `previous`."""
        if self.is_camera:
            return time.monotonic() - start
        stamp = float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1e3
        # Some containers know no times.
        return stamp if stamp > previous else previous + 1.0 / (self.frame_rate or 30.0)


class VideoWriter:
    """An H.264 file (mp4, yuv420p) that every player and browser opens; use as a context manager.

    Frames keep their stamps, so the video runs at the pace of its source.
    """

    _TICKS = 90_000

    def __init__(self, path: Path, frame_rate: float | None = None) -> None:
        """`frame_rate` is a hint for the encoder; None when the source has no fixed rate.

        Raises VideoError when the file cannot be created.
        """
        self._rate = Fraction(frame_rate or 30.0).limit_denominator(1001)
        self._last = -1
        self._stream: Any = None
        try:
            path.open("wb").close()  # PyAV would find out at the first frame only
        except OSError as error:
            raise VideoError(f"{path} cannot be written: {error.strerror}") from error
        self._container = av.open(str(path), "w", options={"movflags": "faststart"})

    def write(self, stamp_seconds: float, image: Image) -> None:
        """Append a BGR image (H, W, 3); all of one size. An odd size is padded by a pixel.

        Raises VideoError when this build of PyAV has no H.264 encoder.
        """
        height, width = image.shape[:2]
        even: Any = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        if self._stream is None:
            self._stream = self._add_stream(*even.shape[:2])
        frame = av.VideoFrame.from_ndarray(even, format="bgr24")
        frame.time_base = Fraction(1, self._TICKS)
        frame.pts = self._last = max(self._last + 1, round(stamp_seconds * self._TICKS))
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

    def close(self) -> None:
        """Write what the encoder still holds and finish the file."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))
        self._container.close()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
