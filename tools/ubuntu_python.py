# SPDX-License-Identifier: Apache-2.0
"""Print the path of the Python that an Ubuntu release has, or say that it is missing.

    python -m tools.ubuntu_python 22.04

Looks in PATH and among pyenv's versions. Uses the standard library alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PYTHONS = {"22.04": "3.10", "24.04": "3.12", "26.04": "3.14"}
"""Python of each release: ROS 2 Humble runs on 22.04, Jazzy on 24.04, Lyrical on 26.04."""


def find_python(version: str) -> str | None:
    """A Python of this version, such as "3.10", that runs; None where there is none."""
    return next(filter(_runs, _candidates(f"python{version}", version)), None)


def _candidates(name: str, version: str) -> Iterator[str]:
    in_path = shutil.which(name)
    if in_path:
        yield in_path
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, pyenv.glob(f"versions/{version}.*/bin/{name}"))


def _runs(python: str) -> bool:
    # pyenv has programs in PATH that refuse to run where their version is not chosen.
    return subprocess.run([python, "-c", ""], capture_output=True).returncode == 0


def main() -> None:
    """Command line, see the module's docstring."""
    parser = argparse.ArgumentParser(description="Find the Python of an Ubuntu release.")
    parser.add_argument("release", choices=PYTHONS)
    release = parser.parse_args().release
    version = PYTHONS[release]
    python = find_python(version)
    if python is None:
        sys.exit(f"python{version} is missing, which tests with Ubuntu {release}'s libraries need.")
    print(python)


if __name__ == "__main__":
    main()
