# SPDX-License-Identifier: Apache-2.0
"""Output of findings as lines of text and as JSON, without the name of the user's home folder."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence

from pear_ros import __version__
from pear_ros.cli.doctor.findings import Finding, Level, without_home
from pear_ros.core.quoting import printable

SCHEMA = 2
"""Version of the JSON format, to be raised when a key is removed or changes its meaning."""

_TITLES = {
    "machine": "Machine",
    "gpu": "GPU",
    "python": "Python",
    "library": "Python libraries",
    "ros": "ROS 2",
    "models": "Models and licences",
    "engine": "TensorRT engines",
    "jetson": "Jetson",
    "topics": "Topics",
}
_COLOURS = {Level.OK: 32, Level.WARN: 33, Level.FAIL: 31}
_INDENT = 7


def lines(finding: Finding, width: int, colour: bool) -> str:
    """Return a finding as lines of at most `width` characters, with its advice below."""
    label = f"{finding.level.name:4}"
    if colour:
        label = f"\x1b[{_COLOURS[finding.level]}m{label}\x1b[0m"
    text = _wrapped(printable(f"{finding.name}: {without_home(finding.text)}"), width, "")
    block = f"  {label} {text}"
    if finding.advice:
        block += (
            f"\n{' ' * _INDENT}{_wrapped(printable(without_home(finding.advice)), width, '-> ')}"
        )
    return block


def title(group: str) -> str:
    """Return the heading of a group of findings."""
    return _TITLES.get(group, group)


def summary(findings: Sequence[Finding]) -> str:
    """Return the last line of the output: the number of findings by level."""
    fails, warnings = (_count(findings, level) for level in (Level.FAIL, Level.WARN))
    if not fails and not warnings:
        return "All is well."
    return f"{fails} FAIL, {warnings} WARN, {_count(findings, Level.OK)} OK"


def as_json(findings: Sequence[Finding]) -> str:
    """Return all findings as one JSON object of the version SCHEMA."""
    report = {
        "schema": SCHEMA,
        "pear_ros": __version__,
        "summary": {level.value: _count(findings, level) for level in Level},
        "findings": [
            {
                "id": finding.id,
                "level": finding.level.value,
                "text": finding.text,
                "advice": finding.advice,
                "details": dict(finding.details),
            }
            for finding in findings
        ],
    }
    return without_home(json.dumps(report, indent=1, ensure_ascii=False, default=str))


def _count(findings: Sequence[Finding], level: Level) -> int:
    return sum(finding.level is level for finding in findings)


def _wrapped(text: str, width: int, mark: str) -> str:
    """Return wrapped text; words stay whole, so that commands and paths can be copied."""
    pieces = textwrap.wrap(
        f"{mark}{text}", max(width - _INDENT, 40), break_long_words=False, break_on_hyphens=False
    )
    return f"\n{' ' * (_INDENT + len(mark))}".join(pieces)
