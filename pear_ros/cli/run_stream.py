# SPDX-License-Identifier: Apache-2.0
"""The live stream of `pear run`: frames go out in a thread, at their rate, while images come in."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from pear_ros.core.people import People, Person
from pear_ros.streaming.body_pose import ObservedPerson
from pear_ros.streaming.live import LiveStream
from pear_ros.streaming.options import StreamOptions
from pear_ros.streaming.recording import StreamWriter
from pear_ros.streaming.urls import StreamUrl


class StreamRequest(NamedTuple):
    """What a user asks for."""

    urls: Sequence[StreamUrl]
    """Where to; one at least."""
    options: StreamOptions
    record: Path | None
    """File for what is sent to the first URL; None: none."""


@contextmanager
def run_stream(request: StreamRequest, in_real_time: bool) -> Iterator[RunStream]:
    """Stream while the block lasts; at its end the stream returns to the pose at rest.

    `in_real_time`: images arrive at their stamps, as from a camera; a video's, which do not, are
    held back until their time, and play slower where they come later. Raises StreamError where a
    package is missing or a host is unknown, OSError where the recording cannot be written.
    """
    urls, options, record = request
    with ExitStack() as exits:
        writer = exits.enter_context(StreamWriter(record, urls[0].text)) if record else None
        live = LiveStream(urls, options, _say, writer)
        exits.callback(live.close)
        stream = RunStream(live, options, in_real_time)
        with stream.sending():
            yield stream


class RunStream:
    """Takes people image by image, and sends frames in a thread."""

    def __init__(self, stream: LiveStream, options: StreamOptions, in_real_time: bool) -> None:
        """Make ready to send; `in_real_time`: as of `run_stream`."""
        self._stream = stream
        self._options = options
        self._in_real_time = in_real_time
        self._begin = time.monotonic()
        self._behind = 0.0
        """By how much a video plays late, seconds."""
        self._stopping = threading.Event()
        self._failure: OSError | None = None
        self._thread = threading.Thread(target=self._send, daemon=True)

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send frames while the block lasts, and then until the stream is at rest.

        Another Ctrl-C ends the way to rest. Raises OSError where the recording cannot be written.
        """
        self._begin = time.monotonic()
        self._thread.start()
        try:
            yield
            self._return_to_rest()
        finally:
            self._stopping.set()
            self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _return_to_rest(self) -> None:
        options = self._options
        if self._stream.frame is not None:
            with suppress(KeyboardInterrupt):
                self._stopping.wait(options.delay + options.hold_seconds + options.blend_seconds)

    def add(self, stamp: float, people: People) -> None:
        """Take the people in an image of this `stamp`, seconds from the first image.

        Raises OSError where the recording cannot be written.
        """
        if self._failure is not None:
            raise self._failure
        if not self._in_real_time:
            ahead = stamp + self._behind - (time.monotonic() - self._begin)
            self._behind = max(self._behind, self._behind - ahead)
            stamp += self._behind
            self._stopping.wait(max(0.0, ahead))
        persons = [_observed(person) for person in people.persons]
        self._stream.add(stamp, time.monotonic(), persons, None)

    def _send(self) -> None:
        """Send a frame each 1 / rate seconds; frames that are due already are left out."""
        period = 1.0 / self._options.rate
        due = time.monotonic()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            try:
                self._stream.tick(time.monotonic())
            except OSError as error:
                self._failure = error
                self._stopping.set()
            due = max(due + period, time.monotonic() - period)


def _observed(person: Person) -> ObservedPerson:
    return ObservedPerson(
        person.id, person.state, person.smplx.pose, person.joints, person.joint_confidence
    )


def _say(sentence: str) -> None:
    print(f"stream: {sentence}", file=sys.stderr)
