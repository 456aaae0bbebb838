# SPDX-License-Identifier: Apache-2.0
"""Recorded streams sent again, byte for byte, with their timing."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

from pear_ros.streaming.outputs import StreamError
from pear_ros.streaming.recording import Recording
from pear_ros.streaming.urls import StreamUrl, parse_stream_url


def replay(
    recording: Recording,
    url: StreamUrl | None,
    say: Callable[[str], None] = print,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Send all packets, each at its time; return how many.

    `url`: where to, of the same protocol; None: where they were sent. Publishers and servers wait
    for a first consumer. `say` sentences for people. Raises StreamError where the recording is
    damaged, the protocol another one, the host unknown, or the output cannot be opened.
    """
    recorded = _recorded_url(recording)
    if url is not None and url.scheme != recorded.scheme:
        raise StreamError(f"{url.text}: the recording is of {recorded.scheme}://")
    count, problems = 0, set[str]()
    chosen = url or recorded
    chosen.require_package()
    with closing(chosen.resolved().output()) as output:
        while not output.is_wanted:
            sleep(0.05)
        begin = time.monotonic()
        for packet in recording:
            sleep(max(0.0, begin + packet.seconds - time.monotonic()))
            if (problem := output.send(packet.content)) and problem not in problems:
                problems.add(problem)
                say(problem)
            count += 1
    return count


def _recorded_url(recording: Recording) -> StreamUrl:
    try:
        return parse_stream_url(recording.url)
    except ValueError as error:
        raise StreamError(f"the recording is of an unknown stream: its URL {error}") from error
