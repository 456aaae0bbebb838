# SPDX-License-Identifier: Apache-2.0
"""Writing of messages in CDR (OMG DDS-RTPS: plain CDR, little endian), field by field."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

ENCAPSULATION = b"\x00\x01\x00\x00"
"""Header of plain CDR, little endian; alignment counts from the byte after these four."""


class CdrWriter:
    """Write the body of one message; primitives are aligned to their size, padding is zero."""

    def __init__(self) -> None:
        """Start with an empty body."""
        self._body = bytearray()

    def __len__(self) -> int:
        """Return the number of bytes written so far, without the encapsulation."""
        return len(self._body)

    def write(self, code: str, *values: float) -> None:
        """Write values of one primitive type, given by its code in the `struct` module."""
        self.align(struct.calcsize(f"<{code}"))
        self._body += struct.pack(f"<{len(values)}{code}", *values)

    def string(self, text: str) -> None:
        """Write a string: its length with the closing NUL, its UTF-8, NUL."""
        encoded = text.encode() + b"\0"
        self.write("I", len(encoded))
        self._body += encoded

    def align(self, size: int) -> None:
        """Write zeros up to the next multiple of `size`."""
        self._body += bytes(-len(self._body) % size)

    def reserve(self, size: int) -> int:
        """Write `size` zeros to be replaced later; return their offset in the body."""
        start = len(self._body)
        self._body += bytes(size)
        return start

    def body(self) -> bytes:
        """Return what was written, without the encapsulation."""
        return bytes(self._body)


class MessageTemplate:
    """A serialised message whose numbers are replaced for each image."""

    def __init__(self, writer: CdrWriter) -> None:
        """Copy the body that `writer` has written."""
        # Offset by four bytes, so that float64 are aligned in memory as they are in the body.
        head = len(ENCAPSULATION)
        size = len(writer)
        memory = np.zeros(-(-(2 * head + size) // 8) * 8, np.uint8)
        memory[head : 2 * head] = np.frombuffer(ENCAPSULATION, np.uint8)
        memory[2 * head : 2 * head + size] = np.frombuffer(writer.body(), np.uint8)
        self._message = memory[head : 2 * head + size]
        self.int32: npt.NDArray[np.int32] = memory[2 * head :].view("<i4")
        """The body as int32 numbers; `number_indices` returns where they are."""
        self.float64: npt.NDArray[np.float64] = memory[2 * head :].view("<f8")
        """The body as float64 numbers."""

    def tobytes(self) -> bytes:
        """Return the message with its present numbers."""
        return self._message.tobytes()


def number_indices(starts: Sequence[int], count: int, size: int) -> npt.NDArray[np.intp]:
    """Return (len(starts), count) indices of the numbers in rows of a MessageTemplate.

    `starts`: offset of each row in bytes; `count`: numbers in a row, of `size` bytes each.
    """
    rows = np.array(starts, np.intp).reshape(-1, 1) // size
    return rows + np.arange(count)
