# SPDX-License-Identifier: Apache-2.0
"""Steps of the set-up: each is run again only when its inputs change, and shows its progress.

It uses only the standard library, since nothing else is installed yet.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / os.environ.get("PEAR_ROS_VENV", ".venv")
STATE = VENV / ".setup"  # a file per finished step; "running" while a step is under way
LOG = ROOT / "setup.log"

VERSION = 1  # to be raised when the code of a step changes, so that it is run again


def fail(sentence: str) -> NoReturn:
    """Exit with one sentence that says what to do."""
    sys.exit(f"\nSet-up stopped: {sentence}")


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Hold a lock that other set-ups of the same clone wait for."""
    with open(__file__) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another set-up is running in this folder; waiting for it ...", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def step(name: str, says: str, *inputs: str | Path) -> Iterator[bool]:
    """Yield whether the step must be run, and record it as done afterwards."""
    stamp, running = STATE / name, STATE / "running"
    key = fingerprint(*inputs)
    if stamp.exists() and stamp.read_text() == key:
        yield False
        return
    print(f"Setting up {says}", flush=True)
    started = time.monotonic()
    stamp.unlink(missing_ok=True)
    if STATE.exists():
        running.touch()
    try:
        yield True
    except SystemExit:  # failed, not interrupted: its files can be used
        running.unlink(missing_ok=True)
        raise
    stamp.write_text(key)
    running.unlink(missing_ok=True)
    print(f"  done in {time.monotonic() - started:.0f} s", flush=True)


def fingerprint(*inputs: str | Path) -> str:
    """Return a hash of texts, files and folders, and of what every step depends on."""
    digest = hashlib.sha256(f"{VERSION} {VENV} {sys.version}".encode())
    for item in inputs:
        if isinstance(item, str):
            digest.update(item.encode())
            continue
        for file in sorted(item.rglob("*")) if item.is_dir() else [item]:
            if file.is_file():
                digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


def run(
    command: Sequence[str | Path], hint: str, environment: Mapping[str, str | Path] | None = None
) -> None:
    """Run a command with its output in the log and its last line shown; fail with the hint."""
    env = {**os.environ, **(environment or {})}
    with LOG.open("w") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
    with process:
        show_progress(process)
    if process.returncode < 0:
        raise KeyboardInterrupt  # killed, so possibly incomplete
    if process.returncode:
        print(last_lines(12), file=sys.stderr)
        fail(f"{hint} (all of it: {LOG})")


def show_progress(process: subprocess.Popen[bytes]) -> None:
    """Show the time and the log's last line until the process ends; in place on a terminal."""
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns - 1
    begin, end, interval = ("\r\033[K", "", 0.5) if terminal else ("", "\n", 15)
    started = shown = time.monotonic()
    while process.poll() is None:
        time.sleep(0.05)
        if time.monotonic() > shown + interval:
            shown = time.monotonic()
            line = f"  {shown - started:.0f} s  {last_lines(1)}"
            print(begin + line[:width], end=end, flush=True)
    print(begin, end="")


def last_lines(count: int) -> str:
    """Return the last lines of the log, without colours."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", LOG.read_text(errors="replace"))
    return "\n".join(text.strip().split("\n")[-count:])
