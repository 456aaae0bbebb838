# SPDX-License-Identifier: Apache-2.0
"""Run Python code in a process with little memory and time."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

SECONDS = 60
"""Much more than any use needs, also on a busy machine; what never ends is stopped."""


def run_bounded(code: str, *arguments: str, megabytes: int = 1200) -> str:
    """Run `code` in a process of its own; return what it prints on stdout.

    Raises CalledProcessError where it fails, as with more than so many megabytes of address space.
    """

    def limit() -> None:
        size = megabytes << 20
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={
            "PYTHONPATH": ":".join([str(Path(__file__).parents[1]), *filter(None, sys.path)]),
            "OPENBLAS_NUM_THREADS": "1",
            "PATH": "/usr/bin:/bin",
        },
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
