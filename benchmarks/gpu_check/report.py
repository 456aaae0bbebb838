# SPDX-License-Identifier: Apache-2.0
"""The report of benchmarks.gpu_check as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.gpu_check.steps import Outcome, Step
from benchmarks.report import machine, markdown_table, write_whole

_WORDS = {True: "yes", False: "NO", None: "-"}


def write_report(
    path: Path, outcomes: Sequence[Outcome], steps: Sequence[Step], smoke: bool
) -> None:
    """Write the report of the steps that have ended so far."""
    write_whole(path, _text(outcomes, steps, smoke))


def _text(outcomes: Sequence[Outcome], steps: Sequence[Step], smoke: bool) -> str:
    day = datetime.now(timezone.utc).date().isoformat()
    where = "SMOKE RUN on stand-ins for CUDA: says nothing about a GPU" if smoke else "one GPU"
    rows = [
        [outcome.step.name, outcome.step.about, _cell(outcome.verdict), f"{outcome.seconds:.0f} s"]
        for outcome in outcomes
    ]
    rows += [[step.name, step.about, "not run yet", ""] for step in steps[len(outcomes) :]]
    parts = [
        "# First checks on an NVIDIA GPU",
        "    python -m benchmarks.gpu_check",
        f"{machine(where)}; {day}.",
        markdown_table((("step", "of", "verdict", "time"), rows)),
    ]
    for outcome in outcomes:
        if outcome.findings:
            found = [
                [_cell(finding.what), _cell(finding.measured), _WORDS[finding.passed]]
                for finding in outcome.findings
            ]
            parts.append(f"## {outcome.step.name}")
            parts.append(markdown_table((("", "measured", "passed"), found)))
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    """Return `text` such that it stays in one cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
