# SPDX-License-Identifier: Apache-2.0
"""Report of a run: what was kept, what was rejected and why, as Markdown and JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pear_ros.annotation.annotator import PARTS_REJECTED, REASONS
from pear_ros.annotation.checks import CHECKS
from pear_ros.annotation.sample import PARTS
from pear_ros.annotation.statistics import Statistics
from pear_ros.annotation.worker import Ended
from pear_ros.io.output_files import write_text

REPORT = "report"
"""Name of the report's files, without suffix."""


def total(ends: Sequence[Ended]) -> Statistics:
    """Return the statistics of all sources."""
    return sum((one.statistics for one in ends), Statistics())


def as_text(ends: Sequence[Ended]) -> str:
    """Return the report in Markdown."""
    found = total(ends)
    lines = [
        "# Annotated people",
        "",
        f"{found.images} images, {found.empty} of them without people; {found.people} people, "
        f"{found.kept} of them kept.",
        "",
        *_table(("part", "samples that have it"), [(p, str(found.parts[p])) for p in PARTS]),
        *_counted("People rejected", found.rejected, REASONS),
        *_counted("Parts rejected", found.parts_rejected, PARTS_REJECTED),
        *_counted(
            "Confidence lowered", found.doubted, {name: c.reason for name, c in CHECKS.items()}
        ),
        *_counted("Images that cannot be used", found.unreadable, {}),
        *(f"- {name}" for name in found.named),
        *([""] if found.named else []),
        *_measures(found),
        "## Sources",
        "",
        *_table(
            ("source", "shards", "images", "people", "kept", "failure"),
            [
                (
                    one.name,
                    str(len(one.shards)),
                    str(one.statistics.images),
                    str(one.statistics.people),
                    str(one.statistics.kept),
                    one.failure,
                )
                for one in ends
            ],
        ),
    ]
    return "\n".join(lines)


def save(ends: Sequence[Ended], folder: Path) -> list[Path]:
    """Write report.md and report.json into `folder`; return the files. Raises OSError."""
    found = total(ends)
    data: dict[str, Any] = {
        **{key: value for key, value in found.dumps().items() if key not in ("values", "scores")},
        "checks": {
            name: {
                "doubtful": CHECKS[name].doubtful,
                "rejected": CHECKS[name].rejected,
                "measured": len(found.values[name]),
                "median": found.quantile(name, 0.5),
                "95 percent": found.quantile(name, 0.95),
            }
            for name in found.checks
        },
        "failures": {one.name: one.failure for one in ends if one.failure},
    }
    files = [folder / f"{REPORT}.md", folder / f"{REPORT}.json"]
    write_text(files[0], as_text(ends))
    write_text(files[1], json.dumps(data, indent=1, sort_keys=True))
    return files


def _counted(title: str, counts: Counter[str], meanings: dict[str, str] | Any) -> list[str]:
    if not counts:
        return []
    rows = [(name, str(n), meanings.get(name, "")) for name, n in sorted(counts.items())]
    if not meanings:
        return [f"## {title}", "", *_table(("reason", "count"), [row[:2] for row in rows])]
    return [f"## {title}", "", *_table(("reason", "count", "meaning"), rows)]


def _measures(found: Statistics) -> list[str]:
    if not found.checks:
        return []
    rows = [
        (
            name,
            str(len(found.values[name])),
            f"{found.quantile(name, 0.5):.3f}",
            f"{found.quantile(name, 0.95):.3f}",
            f"{CHECKS[name].doubtful:g}",
            f"{CHECKS[name].rejected:g}",
        )
        for name in found.checks
    ]
    heads = ("check", "people", "median", "95 %", "doubtful from", "rejected from")
    return ["## Checks", "", *_table(heads, rows)]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return [
        *("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in lines),
        "",
    ]
