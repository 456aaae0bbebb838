# SPDX-License-Identifier: Apache-2.0
"""Findings, the results of checks. A check that raises does not stop the others."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


class Level(enum.Enum):
    """The severity of a finding."""

    OK = "ok"
    WARN = "warn"
    """It works, but with restrictions."""
    FAIL = "fail"
    """It does not work."""


@dataclass(frozen=True)
class Finding:
    """One result of a check."""

    id: str
    """Stable name, with dots, the group first: "library.numpy"."""
    level: Level
    """Whether it works."""
    text: str
    """The finding in one line."""
    advice: str = ""
    """What to do about it; empty where there is nothing to do."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Details for programs, which JSON can represent, by stable names."""

    @property
    def group(self) -> str:
        """The first part of the id."""
        return self.id.partition(".")[0]

    @property
    def name(self) -> str:
        """The id without its group."""
        return self.id.partition(".")[2]


def ok(id: str, text: str, **details: Any) -> Finding:
    """Return a finding of level OK."""
    return Finding(id, Level.OK, text, "", details)


def warn(id: str, text: str, advice: str, **details: Any) -> Finding:
    """Return a finding of level WARN with advice."""
    return Finding(id, Level.WARN, text, advice, details)


def fail(id: str, text: str, advice: str, **details: Any) -> Finding:
    """Return a finding of level FAIL with advice."""
    return Finding(id, Level.FAIL, text, advice, details)


Check = Callable[[], Iterable[Finding]]
"""Examines one aspect of the installation."""


def run_check(id: str, check: Check) -> Iterator[Finding]:
    """Yield the findings of `check`; where it raises, a warning with the id given follows."""
    try:
        yield from check()
    except Exception as error:
        text = " ".join(str(error).split())
        yield warn(
            id,
            f"could not be checked: {type(error).__name__}{f': {text}' if text else ''}",
            "the other checks are not affected; please report this one",
        )


def without_home(text: str) -> str:
    """Return the text with ~ in place of the user's home folder."""
    for home in {str(Path.home()), str(Path.home().resolve())}:
        if len(home) > 1:
            text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    return text
