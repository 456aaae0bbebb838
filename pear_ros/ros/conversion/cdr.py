# SPDX-License-Identifier: Apache-2.0
"""Just enough CDR (OMG DDS-RTPS, plain CDR, little endian) to lay out a message by hand."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

ENCAPSULATION = b"\x00\x01\x00\x00"
"""Plain CDR, little endian; alignment counts from behind these four bytes."""


class CdrWriter:
    """Grows the body of one message; primitives are aligned to their own size, gaps are zero."""

    def __init__(self) -> None:
        self._body = bytearray()

    def __len__(self) -> int:
        """Bytes written so far, without the encapsulation."""
        return len(self._body)

    def write(self, code: str, *values: float) -> None:
        """Values of one primitive type, given by its code in the `struct` module."""
        self.align(struct.calcsize(f"<{code}"))
        self._body += struct.pack(f"<{len(values)}{code}", *values)

    def string(self, text: str) -> None:
        """A string: length with the closing NUL, UTF-8, NUL."""
        encoded = text.encode() + b"\0"
        self.write("I", len(encoded))
        self._body += encoded

    def align(self, size: int) -> None:
        """Zeros up to the next multiple of `size`."""
        self._body += bytes(-len(self._body) % size)

    def reserve(self, size: int) -> int:
        """Room for `size` bytes that are filled in later; where it starts in the body."""
        start = len(self._body)
        self._body += bytes(size)
        return start

    def body(self) -> bytes:
        """What was written, without the encapsulation."""
        return bytes(self._body)


class Form:
    """A message laid out once, of which numbers are filled in again and again."""

    def __init__(self, writer: CdrWriter) -> None:
        # Four bytes further in memory than in the message, so that float64 lie on multiples of 8.
        head = len(ENCAPSULATION)
        size = len(writer)
        memory = np.zeros(-(-(2 * head + size) // 8) * 8, np.uint8)
        memory[head : 2 * head] = np.frombuffer(ENCAPSULATION, np.uint8)
        memory[2 * head : 2 * head + size] = np.frombuffer(writer.body(), np.uint8)
        self._message = memory[head : 2 * head + size]
        self.int32: npt.NDArray[np.int32] = memory[2 * head :].view("<i4")
        """The body, from its first byte on; filled in at what `places` gives."""
        self.float64: npt.NDArray[np.float64] = memory[2 * head :].view("<f8")

    def tobytes(self) -> bytes:
        """The message as it is now."""
        return self._message.tobytes()


def places(starts: Sequence[int], count: int, size: int) -> npt.NDArray[np.intp]:
    """(len(starts), count) indices of numbers of `size` bytes that lie in rows from `starts` on."""
    rows = np.array(starts, np.intp).reshape(-1, 1) // size
    return rows + np.arange(count)
