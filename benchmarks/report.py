# SPDX-License-Identifier: Apache-2.0
"""Reports of benchmarks: tables, with the command and the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

RESULTS = Path(__file__).with_name("results")

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Headings and rows of a table."""


def machine(gpu: str = "no GPU used") -> str:
    """Return a line that describes the machine: processor, cores, load, GPU, Python.

    The load is the mean of the last minute: more than the cores means that times are too long.
    """
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].partition(":")[2].strip() if lines else model
    load = f"load {os.getloadavg()[0]:.1f}"
    return f"{model}, {os.cpu_count()} cores, {load}, {gpu}, Python {platform.python_version()}"


def markdown_table(table: Table) -> str:
    """Return a table as Markdown."""
    headings, rows = table
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def report_text(about: str, tables: Mapping[str, Table], gpu: str = "no GPU used") -> str:
    """Return a report as Markdown: what it is about, the machine, the day, the tables."""
    title, _, rest = about.strip().partition("\n")
    day = datetime.now(timezone.utc).date().isoformat()
    parts = [f"# {title}", rest.strip(), f"{machine(gpu)}; {day}.", tables_text(tables)]
    return "\n\n".join(parts) + "\n"


def write_whole(path: Path, text: str) -> None:
    """Write a file that is never incomplete, even if the process is killed."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text)
    os.replace(part, path)


def tables_text(tables: Mapping[str, Table]) -> str:
    """Return tables as Markdown, each below its heading."""
    return "\n\n".join(
        f"## {heading}\n\n{markdown_table(table)}" for heading, table in tables.items()
    )


def write_report(
    name: str, about: str, tables: Mapping[str, Table], gpu: str = "no GPU used"
) -> Path:
    """Print the tables and write them to benchmarks/results/NAME.md."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.md"
    write_whole(path, report_text(about, tables, gpu))
    print(tables_text(tables))
    print(f"\nwritten to {path}")
    return path
