# SPDX-License-Identifier: Apache-2.0
"""Where packets go: the interface of all outputs, and what they raise."""

from __future__ import annotations

from typing import Protocol


class StreamError(Exception):
    """A stream cannot be opened, or a file of one not be read; the text says why."""


class Output(Protocol):
    """Sends packets to consumers; none of its methods waits for one."""

    @property
    def address(self) -> str:
        """Host and port, with the port that the system chose where 0 was asked for."""
        ...

    @property
    def is_wanted(self) -> bool:
        """Whether there is a consumer; True where the protocol cannot know."""
        ...

    def send(self, packet: bytes) -> str:
        """Send a packet; return a sentence for the log if it cannot be sent, else ""."""
        ...

    def close(self) -> None:
        """Free the port."""
        ...
