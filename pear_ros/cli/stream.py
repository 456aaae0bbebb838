# SPDX-License-Identifier: Apache-2.0
"""`pear stream`: a recorded stream sent again."""

from __future__ import annotations

import sys
from pathlib import Path

from pear_ros.core.quoting import printable
from pear_ros.streaming.outputs import StreamError
from pear_ros.streaming.recording import Recording
from pear_ros.streaming.replaying import replay
from pear_ros.streaming.urls import StreamUrl


def stream(file: Path, url: StreamUrl | None) -> int:
    """Send the recording `file` to `url`, or to where it was sent; return the exit code."""
    try:
        recording = Recording(file)
        print(printable(f"Sending {file} to {url.text if url else recording.url}"), flush=True)
        count = replay(recording, url)
    except (OSError, StreamError) as error:
        print(printable(f"error: {error}"), file=sys.stderr)
        return 1
    print(f"{count} packets sent.")
    return 0
