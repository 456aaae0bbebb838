# SPDX-License-Identifier: Apache-2.0
"""What a step finds, one line of JSON each, written at once: it survives the end of the step."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finding:
    """One result of a step."""

    what: str
    """What was tried or measured."""
    measured: str
    """The result in words or numbers."""
    passed: bool | None
    """Whether it is as it must be; None where there is nothing to compare with."""


class Findings:
    """Writes the findings of one step."""

    def __init__(self, path: Path) -> None:
        """`path`: the file to append to."""
        self._path = path
        self.failed = False
        """Whether any check failed."""

    def check(self, what: str, passed: bool, measured: str = "") -> None:
        """Write whether `what` is as it must be."""
        self.failed |= not passed
        self._write(Finding(what, measured, bool(passed)))

    def note(self, what: str, measured: str) -> None:
        """Write a measurement without a limit."""
        self._write(Finding(what, measured, None))

    @contextmanager
    def trying(self, what: str) -> Iterator[None]:
        """Write that `what` does not work if this context raises, and go on."""
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            self.check(what, False, f"{type(error).__name__}: {error}")

    def _write(self, finding: Finding) -> None:
        print(finding.what, finding.measured, finding.passed, flush=True)
        with self._path.open("a") as file:
            file.write(json.dumps(asdict(finding)) + "\n")


def read_findings(path: Path) -> list[Finding]:
    """Return the findings in a file that may end within a line; none if there is no file."""
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [Finding(**json.loads(line)) for line in lines]
