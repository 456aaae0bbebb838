# SPDX-License-Identifier: Apache-2.0
"""Files of recorded streams: every packet with its time, to be sent again byte for byte.

bytes 0 to 15   b"pear_ros stream\\n"
one line        JSON: {"version": 1, "url": "sonic://127.0.0.1:5556"}
then, until the end of the file, for each packet:
8 bytes         time since the first packet, seconds, little-endian double
4 bytes         number of bytes of the packet, little-endian unsigned integer
packet
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pear_ros.core.quoting import quoted
from pear_ros.io.output_files import OutputFile, naming
from pear_ros.streaming.outputs import StreamError

MAGIC = b"pear_ros stream\n"
VERSION = 1
MAX_PACKET_BYTES = 1 << 20
_LONGEST_PAUSE = 86_400.0
"""Greatest time between two packets that can be meant, seconds."""
_HEAD = struct.Struct("<dI")


class Packet(NamedTuple):
    """A packet that was sent."""

    seconds: float
    """Time since the first packet."""
    content: bytes


class StreamWriter(OutputFile):
    """Writes a recording; a context manager, at whose end the file appears."""

    def __init__(self, path: Path, url: str) -> None:
        """Begin the recording of the stream `url`. Raises OSError, which names the file."""
        self._url = url
        self._begin: float | None = None
        self._file: BinaryIO
        super().__init__(path)

    def write(self, now: float, packet: bytes) -> None:
        """Add a packet that is sent `now`, seconds. Raises OSError, which names the file."""
        if self._begin is None:
            self._begin = now
        with naming(self._path):
            self._file.write(_HEAD.pack(now - self._begin, len(packet)) + packet)

    def _open(self, draft: Path) -> None:
        self._file = draft.open("wb")
        header = json.dumps({"version": VERSION, "url": self._url})
        self._file.write(MAGIC + header.encode() + b"\n")

    def _finish(self) -> None:
        self._file.close()

    def _abandon(self) -> None:
        self._file.close()


class Recording:
    """A recorded stream; iterable once for its packets, in order."""

    def __init__(self, path: Path) -> None:
        """Open a file. Raises StreamError where it is none of a stream, OSError as open() does."""
        self._path = path
        self._file = path.open("rb")
        if self._file.read(len(MAGIC)) != MAGIC:
            self._file.close()
            raise StreamError(f"{path} is no recorded stream: `pear run --stream-record` makes one")
        self.url = self._url()
        """The stream that was recorded."""

    def __iter__(self) -> Iterator[Packet]:
        """Yield the packets. Raises StreamError where the file is damaged."""
        latest = 0.0
        with self._file:
            while head := self._file.read(_HEAD.size):
                if len(head) < _HEAD.size:
                    raise StreamError(f"{self._path} is cut off")
                seconds, size = _HEAD.unpack(head)
                if size > MAX_PACKET_BYTES:
                    raise StreamError(f"{self._path} is damaged: a packet of {size} bytes")
                if not latest <= seconds <= latest + _LONGEST_PAUSE:
                    raise StreamError(
                        f"{self._path} is damaged: a packet at {seconds:g} s behind one at "
                        f"{latest:g} s"
                    )
                latest = seconds
                content = self._file.read(size)
                if len(content) < size:
                    raise StreamError(f"{self._path} is cut off")
                yield Packet(seconds, content)

    def _url(self) -> str:
        try:
            header = json.loads(self._file.readline(MAX_PACKET_BYTES))
            if header["version"] == VERSION:
                return str(header["url"])
            problem = f"is of version {quoted(header['version'])}, not {VERSION}"
        except (ValueError, TypeError, KeyError, RecursionError):
            problem = "is damaged: its header is no JSON object"
        self._file.close()
        raise StreamError(f"{self._path} {problem}")
