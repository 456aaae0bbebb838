# SPDX-License-Identifier: Apache-2.0
"""Hashes of the pinned Python packages, so that pip installs the files that were meant.

`requirements/hashes.txt` has one line for each package, `name==version` and the SHA-256 of its
files for Linux. The set-up passes them to `pip install --require-hashes`. It uses only the standard
library.

    python -m tools.hashes requirements/robot.txt    # a requirements file with hashes, for pip
    python -m tools.hashes --write PYLOCK.toml ...   # for maintainers: make lock
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

HASHES = Path(__file__).resolve().parent.parent / "requirements" / "hashes.txt"
_PIN = re.compile(r"([A-Za-z0-9._-]+)==([^\s;]+)\s*(;.*)?")


def main() -> None:
    """Print requirements with their hashes, or write all hashes again."""
    parser = argparse.ArgumentParser(description="Hashes of the pinned Python packages.")
    parser.add_argument("--write", action="store_true", help="write requirements/hashes.txt")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    options = parser.parse_args()
    if options.write:
        HASHES.write_text(hashes_text(options.files))
        return
    try:
        print(hashed(options.files), end="")
    except ValueError as error:
        sys.exit(f"error: {error}")


def hashed(files: Sequence[Path], more: Iterable[str] = ()) -> str:
    """Return the pins of requirements files, and `more` pins, with the hashes of their files.

    Raises ValueError where a line is no pin, or has no hashes.
    """
    known = {name: hashes for name, *hashes in map(str.split, HASHES.read_text().splitlines())}
    lines = [line for file in files for line in file.read_text().splitlines()]
    pins = []
    for line in (*lines, *more):
        text = line.split("#")[0].strip()
        if not text:
            continue
        found = _PIN.fullmatch(text)
        if found is None:
            raise ValueError(f"{text} is no pin of one version")
        name = f"{normal(found[1])}=={found[2]}"
        if name not in known:
            raise ValueError(f"{HASHES.name} has no hashes of {name}: run make lock")
        parts = [f"{name} {found[3] or ''}".strip(), *(f"--hash=sha256:{h}" for h in known[name])]
        pins.append(" \\\n    ".join(parts))
    return "".join(f"{pin}\n" for pin in dict.fromkeys(pins))


def normal(name: str) -> str:
    """Return a package's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def hashes_text(locks: Sequence[Path]) -> str:
    """Return the text of hashes.txt from lock files as `uv pip compile -o pylock.toml` writes."""
    tomllib = import_module("tomllib")  # of Python 3.11; only maintainers need it
    found: dict[str, set[str]] = {}
    for lock in locks:
        for package in tomllib.loads(lock.read_text())["packages"]:
            name = f"{normal(package['name'])}=={package['version']}"
            found.setdefault(name, set()).update(_hashes(package))
    return "".join(f"{name} {' '.join(sorted(found[name]))}\n" for name in sorted(found))


def _hashes(package: dict[str, Any]) -> Iterable[str]:
    for file in (*package.get("wheels", ()), *filter(None, [package.get("sdist")])):
        name = file["url"].rsplit("/", 1)[-1]
        linux = "linux" in name and re.search(r"(x86_64|aarch64)\.whl$", name)
        if name.endswith("-any.whl") or linux or not name.endswith(".whl"):
            yield file["hashes"]["sha256"]


if __name__ == "__main__":
    main()
