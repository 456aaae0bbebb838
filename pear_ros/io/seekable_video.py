# SPDX-License-Identifier: Apache-2.0
"""The frame of a video at a time, for viewers that jump to and fro."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import av

from pear_ros.core.people import Image
from pear_ros.io.video import VideoError, upright

_AHEAD_SECONDS = 1.0
"""Time to a later frame up to which decoding on is faster than to seek."""
_TOLERANCE_SECONDS = 1e-3


class SeekableVideo:
    """Frames of the first video stream of a file, by time; one is kept."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises VideoError where it has no video that can be decoded."""
        self._lock = threading.Lock()
        try:
            self._container = av.open(str(path), metadata_errors="replace")
        except (av.FFmpegError, ValueError, OSError) as error:
            raise VideoError(f"{path} is not a video that can be decoded") from error
        if not self._container.streams.video:
            self._container.close()
            raise VideoError(f"{path} has no video")
        self._stream = self._container.streams.video[0]
        self._frames: Iterator[av.VideoFrame] = self._container.decode(self._stream)
        first = self._next()
        if first is None:
            self._container.close()
            raise VideoError(f"{path} is not a video that can be decoded")
        self._start = first.time or 0.0
        self._kept, self._coming = first, self._next()

    def at(self, seconds: float) -> Image:
        """Return the last frame (H, W, 3), BGR, until a time, seconds since the first frame."""
        with self._lock:
            time = self._start + seconds + _TOLERANCE_SECONDS
            kept = self._kept.time or 0.0
            if not kept <= time <= kept + _AHEAD_SECONDS:
                self._seek(time)
            while self._coming is not None and (self._coming.time or 0.0) <= time:
                self._kept, self._coming = self._coming, self._next()
            return upright(self._kept)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._container.close()

    def _seek(self, time: float) -> None:
        """Continue at the last key frame before a time."""
        base = self._stream.time_base
        target = max(time, self._start)
        self._container.seek(int(target / float(base or 1e-6)), stream=self._stream)
        self._frames = self._container.decode(self._stream)
        first = self._next()
        if first is not None:
            self._kept, self._coming = first, self._next()

    def _next(self) -> av.VideoFrame | None:
        """Return the next frame that can be decoded; None at the end."""
        while True:
            try:
                return next(self._frames, None)
            except av.InvalidDataError:
                self._frames = self._container.decode(self._stream)
            except av.FFmpegError:
                return None
