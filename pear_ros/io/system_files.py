# SPDX-License-Identifier: Apache-2.0
"""Small files in which the system describes itself, in /proc, /sys and /etc."""

from __future__ import annotations

import re
from pathlib import Path


def read_text(path: Path) -> str:
    """Return the content of a file, stripped; empty where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def read_number(path: Path) -> int | None:
    """Return the number that is all of a file; None where it cannot be read or is no number."""
    text = read_text(path)
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def memory_info(root: Path) -> dict[str, int]:
    """Return the rows of /proc/meminfo in bytes by name; `root`: the folder with /proc."""
    rows = re.findall(r"^(\w+):\s*(\d+) kB", read_text(root / "proc/meminfo"), re.MULTILINE)
    return {name: 1024 * int(kilobytes) for name, kilobytes in rows}
