# SPDX-License-Identifier: Apache-2.0
"""Run probes in processes of their own, since a library may crash or hang the one it is loaded in.

A probe is a module that prints its result as a JSON object, such as pear_ros.cli.doctor.probes.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

Probe: TypeAlias = Callable[..., dict[str, Any]]
"""Runs one of pear_ros.cli.doctor.probes, by name and arguments; ProbeRunner in the command."""

_MAX_LINES = 3
"""Lines of standard error that an error quotes."""


class ProbeError(RuntimeError):
    """A process without a result; the text says how it ended and quotes its last lines."""


def run_module(module: str, *arguments: str, timeout: float = 120.0) -> dict[str, Any]:
    """Run `python -m module arguments` and return the JSON object in its last line of output.

    Raises ProbeError where the process crashes, takes longer than `timeout` seconds, or prints no
    such line.
    """
    command = [sys.executable, "-m", module, *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise ProbeError(f"no answer within {timeout:.0f} s") from error
    if done.returncode:
        raise ProbeError(_ending(done.returncode, done.stderr))
    try:
        result = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise ProbeError(f"no answer{_tail(done.stderr)}") from error
    if not isinstance(result, dict):
        raise ProbeError(f"no answer{_tail(done.stderr)}")
    return result


def _ending(code: int, errors: str) -> str:
    if code > 0:
        return f"ended with status {code}{_tail(errors)}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"crashed with {name}{_tail(errors)}"


def _tail(errors: str) -> str:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return ": " + " / ".join(lines[-_MAX_LINES:]) if lines else ""


class ProbeRunner:
    """Runs each of pear_ros.cli.doctor.probes once, two at a time, and keeps the results."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="probes")
        self._results: dict[tuple[str, ...], Future[dict[str, Any]]] = {}

    def start(self, *probe: str) -> None:
        """Start a probe, given by name and arguments, without waiting for its result."""
        if probe not in self._results:
            self._results[probe] = self._pool.submit(_result, probe)

    def __call__(self, *probe: str) -> dict[str, Any]:
        """Return the result of a probe, with the key "error" where it failed.

        The key "crashed" is there, too, where its process ended without a result.
        """
        self.start(*probe)
        return self._results[probe].result()

    def close(self) -> None:
        """Cancel the probes that have not started and wait for the others."""
        self._pool.shutdown(cancel_futures=True)


def _result(probe: tuple[str, ...]) -> dict[str, Any]:
    try:
        return run_module("pear_ros.cli.doctor.probes", *probe)
    except ProbeError as error:
        return {"error": str(error), "crashed": True}
