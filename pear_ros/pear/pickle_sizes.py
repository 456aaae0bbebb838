# SPDX-License-Identifier: Apache-2.0
"""Check of a pickle before it is read: it may not declare more than it holds."""

from __future__ import annotations

import pickletools

_OPCODES = {ord(opcode.code): opcode for opcode in pickletools.opcodes}
_NUMBERED = {"PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET", "FRAME"}
"""Opcodes whose argument is a length, or a number that grows with the objects before it."""
_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
"""Bytes of the length before an argument of variable length, by pickletools' number for it."""


def check_sizes(content: bytes) -> None:
    """Raise ValueError where a pickle declares more than it holds.

    The unpickler takes memory for the length of a text, and for the number that an object is kept
    under, before it reads on.
    """
    place, size = 0, len(content)
    while place < size:
        opcode = _OPCODES[content[place]]
        place += 1
        kind = opcode.arg
        width = kind.n if kind is not None else 0
        if opcode.name == "STOP":
            return
        if kind is not None and width == pickletools.UP_TO_NEWLINE:
            end = place
            for _ in range(2 if kind.name.endswith("pair") else 1):
                end = content.index(b"\n", end) + 1
            number = int(content[place:end]) if opcode.name in _NUMBERED else 0
            place = end
        else:
            length_width = _LENGTHS.get(width, 0)
            head = length_width or width
            number = int.from_bytes(content[place : place + head], "little")
            place += head + (number if length_width else 0)
            number = number if length_width or opcode.name in _NUMBERED else 0
        if number < 0 or number > size or place > size:
            raise ValueError("it declares more than it holds")
