# SPDX-License-Identifier: Apache-2.0
"""Reports of an evaluation: text for the terminal, Markdown and JSON, a column for each method."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pear_ros import __version__
from pear_ros.evaluation.figures import Figure, Figures
from pear_ros.io.output_files import write_text

_NAME_WIDTH = 46


@dataclass(frozen=True)
class Report:
    """All that was measured on one set."""

    title: str
    """Name of the set."""
    about: Sequence[str]
    """What was evaluated and how, in lines."""
    methods: Mapping[str, Figures]
    """Figures of each method by the heading of its column."""
    pictures: Sequence[Path] = field(default_factory=tuple)
    """Files of pictures that belong to the report."""

    def as_text(self) -> str:
        """Return the tables for a terminal."""
        lines = [*self.about]
        for heading in self._headings():
            names = "".join(f"{name:>18}" for name in self.methods)
            lines += ["", f"{heading:{_NAME_WIDTH}}{'n':>7}{names}"]
            for name, row in self._rows(heading):
                values = "".join(f"{figure!s:>18}" for figure in row)
                lines.append(f"  {name:{_NAME_WIDTH - 2}}{_count(row):>7}{values}")
        return "\n".join(lines)

    def as_markdown(self) -> str:
        """Return the report as Markdown; pictures are linked by their file names."""
        parts = [f"# {self.title}", "\n".join(f"- {line}" for line in self.about)]
        for heading in self._headings():
            head = f"| {heading} | n | " + " | ".join(self.methods) + " |"
            rule = "|---|---:|" + "---:|" * len(self.methods)
            rows = [
                f"| {name.strip()} | {_count(row)} | " + " | ".join(map(str, row)) + " |"
                for name, row in self._rows(heading)
            ]
            parts.append("\n".join([head, rule, *rows]))
        parts += [f"![{path.stem.replace('_', ' ')}]({path.name})" for path in self.pictures]
        return "\n\n".join(parts) + "\n"

    def as_json(self) -> str:
        """Return title, lines and figures as JSON; unknown values are null."""
        return json.dumps(
            {
                "title": self.title,
                "about": list(self.about),
                "version": __version__,
                "methods": {
                    method: {heading: _values(rows) for heading, rows in figures.items()}
                    for method, figures in self.methods.items()
                },
            },
            indent=1,
        )

    def save(self, folder: Path) -> tuple[Path, Path]:
        """Write report.md and report.json into `folder`; return their paths."""
        markdown, data = folder / "report.md", folder / "report.json"
        write_text(markdown, self.as_markdown())
        write_text(data, self.as_json())
        return markdown, data

    def _headings(self) -> list[str]:
        return list(dict.fromkeys(h for figures in self.methods.values() for h in figures))

    def _rows(self, heading: str) -> list[tuple[str, list[Figure]]]:
        tables = [
            {f.name: f for f in figures.get(heading, ())} for figures in self.methods.values()
        ]
        names = dict.fromkeys(name for table in tables for name in table)
        return [
            (name, [table.get(name, Figure(name, math.nan, None)) for table in tables])
            for name in names
        ]


def _values(figures: Sequence[Figure]) -> dict[str, Any]:
    return {
        figure.name.strip(): {
            "value": None if math.isnan(figure.value) else figure.value,
            "count": figure.count,
        }
        for figure in figures
    }


def _count(row: Sequence[Figure]) -> str:
    """Return the number of cases, of each method that states it where they differ."""
    counts = dict.fromkeys(str(figure.count) for figure in row if figure.count is not None)
    return "/".join(counts) or "-"
