# SPDX-License-Identifier: Apache-2.0
"""Print the path of the Python that an Ubuntu release has, or say that it is missing.

    python -m tools.ubuntu_python 22.04

It searches PATH and pyenv's versions, and uses only the standard library.
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
    """Return a working Python of this version, such as "3.10"; None where there is none."""
    return next(filter(_runs, _candidates(f"python{version}", version)), None)


def _candidates(name: str, version: str) -> Iterator[str]:
    in_path = shutil.which(name)
    if in_path:
        yield in_path
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, pyenv.glob(f"versions/{version}.*/bin/{name}"))


def _runs(python: str) -> bool:
    # pyenv's shims in PATH fail where their version is not selected.
    return subprocess.run([python, "-c", ""], capture_output=True).returncode == 0


def main() -> None:
    """Print the path, or exit with an error."""
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
