# SPDX-License-Identifier: Apache-2.0
"""Notes on messages that are used although something in them is odd."""

from __future__ import annotations

from typing import NamedTuple


class Note(NamedTuple):
    """What was mended in a message, or left out of it."""

    cause: str
    """Short name of the fault, one of few: no part of it comes from the message."""
    text: str
    """What is odd, with the odd value, and what is done: a sentence without its full stop."""
    remedy: str
    """What the user can do, in the imperative."""

    @property
    def sentence(self) -> str:
        """The text with the remedy, without a full stop."""
        return f"{self.text}: {self.remedy}"
