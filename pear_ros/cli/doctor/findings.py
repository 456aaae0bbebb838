# SPDX-License-Identifier: Apache-2.0
"""What checks find, and how they are run: none of them can keep the others from being made."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Level(enum.Enum):
    """How good something is."""

    OK = "ok"
    WARN = "warn"
    """Works, but not as well as it could, or only until something else is asked for."""
    FAIL = "fail"
    """Does not work."""


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    id: str
    """Stable, dotted, the group first: "library.numpy"."""
    level: Level
    text: str
    """What is there, in one line."""
    advice: str = ""
    """What to do about it; empty where nothing is to be done."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What programs may want to read: what JSON can hold."""

    @property
    def group(self) -> str:
        """Of the id."""
        return self.id.partition(".")[0]

    @property
    def name(self) -> str:
        """The id without its group."""
        return self.id.partition(".")[2]


def ok(id: str, text: str, **facts: Any) -> Finding:
    """Nothing is to be done."""
    return Finding(id, Level.OK, text, "", facts)


def warn(id: str, text: str, advice: str, **facts: Any) -> Finding:
    """Something may be better."""
    return Finding(id, Level.WARN, text, advice, facts)


def fail(id: str, text: str, advice: str, **facts: Any) -> Finding:
    """Something does not work."""
    return Finding(id, Level.FAIL, text, advice, facts)


Check = Callable[[], Iterable[Finding]]


def run_check(id: str, check: Check) -> Iterator[Finding]:
    """What `check` finds; where it raises, what it found before and a warning named `id`."""
    try:
        yield from check()
    except Exception as error:
        text = " ".join(str(error).split())
        yield warn(
            id,
            f"could not be looked at: {type(error).__name__}{f': {text}' if text else ''}",
            "the other checks are not affected; please report this one",
        )


def without_home(text: str) -> str:
    """The text with ~ in place of the user's home folder."""
    for home in {str(Path.home()), str(Path.home().resolve())}:
        if len(home) > 1:
            text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    return text
