# SPDX-License-Identifier: Apache-2.0
"""A live stream: people come in image by image, packets go out frame by frame."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence

from pear_ros.core.frame_clock import SEVERAL_CLOCKS, STILL, FrameClock
from pear_ros.core.rigid_transform import RigidTransform
from pear_ros.streaming.body_pose import ObservedPerson
from pear_ros.streaming.motion_stream import MotionFrame, MotionStream
from pear_ros.streaming.options import StreamOptions
from pear_ros.streaming.outputs import Output, StreamError
from pear_ros.streaming.playout_clock import PlayoutClock
from pear_ros.streaming.recording import StreamWriter
from pear_ros.streaming.urls import StreamUrl

_RETRY_SECONDS = 2.0
"""Time after which a port that was in use is tried again."""
_REPEAT_SECONDS = 30.0
"""Time after which the same sentence is said again."""


class Channel:
    """One URL of a stream: its encoder, and its output once it could be opened."""

    def __init__(self, url: StreamUrl, options: StreamOptions, say: Callable[[str], None]) -> None:
        """Take a URL; its output is opened when it is first asked for, with what there is to `say`.

        Raises StreamError where a package is missing or a host is unknown.
        """
        url.require_package()
        self.url = url.resolved()
        self._say = say
        self._said: dict[str, float] = {}
        self.output: Output | None = None
        """None: it could not be opened yet, as where its port is in use."""
        self._retry_at = -math.inf
        self._encode = url.encoder(options)

    def is_wanted(self, now: float) -> bool:
        """Return whether there may be a consumer; open the output where it is due `now`."""
        if self.output is None and now >= self._retry_at:
            self._retry_at = now + _RETRY_SECONDS
            try:
                self.output = self.url.output()
            except StreamError as error:
                self._say_once(f"{error}; it is tried again until it succeeds", now)
        return self.output is not None and self.output.is_wanted

    def encode(self, frame: MotionFrame) -> list[bytes]:
        """Return the packets of a frame."""
        return self._encode(frame)

    def send(self, packets: Sequence[bytes], now: float) -> None:
        """Send packets; say once if they cannot be sent."""
        for packet in packets:
            if self.output is not None and (problem := self.output.send(packet)):
                self._say_once(problem, now)

    def close(self) -> None:
        """Close the output."""
        if self.output is not None:
            self.output.close()

    def _say_once(self, sentence: str, now: float) -> None:
        if now - self._said.get(sentence, -_REPEAT_SECONDS) >= _REPEAT_SECONDS:
            self._said[sentence] = now
            self._say(sentence)


class LiveStream:
    """One motion on any number of channels; images and frames may come from two threads.

    While no channel has a consumer, nothing is computed. For the next one the stream goes on from
    the frame that was sent last, as its robot, if it is the same, has that pose.
    """

    def __init__(
        self,
        urls: Sequence[StreamUrl],
        options: StreamOptions,
        say: Callable[[str], None],
        writer: StreamWriter | None = None,
    ) -> None:
        """Stream to `urls`; `say` sentences for the log; record the first with a `writer`.

        Raises StreamError where a package is missing or a host is unknown.
        """
        self._options = options
        self.channels = [Channel(url, options, say) for url in urls]
        self._writer = writer
        self._lock = threading.Lock()
        self._was_wanted = False
        self._stream = MotionStream(options)
        self._clock = PlayoutClock(options.delay)
        self._image_clock = FrameClock()
        self._say = say
        self._said: set[str] = set()
        self.frame: MotionFrame | None = None
        """The frame that was sent last."""

    def is_wanted(self, now: float) -> bool:
        """Return whether there may be a consumer, or a recording; `now`: monotonic seconds."""
        wanted = [channel.is_wanted(now) for channel in self.channels]
        return any(wanted) or self._writer is not None

    def add(
        self,
        stamp: float,
        now: float,
        persons: Sequence[ObservedPerson],
        to_world: RigidTransform | None,
    ) -> None:
        """Take the people in an image of this `stamp` that arrived `now`, seconds.

        `to_world`: from the optical frame to a frame with z up; None: unknown. Where stamps stand
        still or are of several clocks, time goes on by the arrival, which is said once.
        """
        tick = self._image_clock(round(1e9 * stamp), round(1e9 * now))
        if tick.fault in (STILL, SEVERAL_CLOCKS):
            stamp = tick.time
            if tick.fault not in self._said:
                self._said.add(tick.fault)
                self._say(f"images: {tick.fault}; their times of arrival are used")
        with self._lock:
            self._clock.arrived(stamp, now)
            self._stream.add(stamp, persons, to_world)

    def tick(self, now: float) -> None:
        """Send the next frame, if somebody wants it; to be called at the rate of the stream.

        Raises OSError where the recording cannot be written.
        """
        wanted = self.is_wanted(now)
        if self._was_wanted and not wanted:
            with self._lock:
                self._stream.interrupt()
                self._clock = PlayoutClock(self._options.delay)
        self._was_wanted = wanted
        if wanted:
            self._send(now)

    def _send(self, now: float) -> None:
        with self._lock:
            time = self._clock.time(now)
            frame = None if time is None else self._stream.step(time)
        if frame is None:
            return
        self.frame = frame
        for channel in self.channels:
            records = self._writer if channel is self.channels[0] else None
            if records is None and not channel.is_wanted(now):
                continue
            packets = channel.encode(frame)
            channel.send(packets, now)
            for packet in packets if records is not None else ():
                assert records is not None
                records.write(now, packet)

    def close(self) -> None:
        """Close all channels."""
        for channel in self.channels:
            channel.close()
