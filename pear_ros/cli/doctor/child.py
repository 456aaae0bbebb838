# SPDX-License-Identifier: Apache-2.0
"""Questions that are asked in a process of their own, as they may end or hang it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeAlias

Ask: TypeAlias = Callable[..., dict[str, Any]]
"""Asks one of pear_ros.cli.doctor.probes, with its arguments; see Probes."""

_LAST_LINES = 3


class NoAnswerError(RuntimeError):
    """The process did not answer; the text says how it ended and what it said last."""


def ask(module: str, *arguments: str, timeout: float = 120.0) -> dict[str, Any]:
    """The JSON object in the last line of what `python -m module arguments` prints.

    Raises NoAnswerError where the process crashes, hangs for `timeout` seconds, or says none.
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
        raise NoAnswerError(f"no answer within {timeout:.0f} s") from error
    if done.returncode:
        raise NoAnswerError(_ending(done.returncode, done.stderr))
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise NoAnswerError(f"no answer{_tail(done.stderr)}") from error
    if not isinstance(answer, dict):
        raise NoAnswerError(f"no answer{_tail(done.stderr)}")
    return answer


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
    return ": " + " / ".join(lines[-_LAST_LINES:]) if lines else ""


class Probes:
    """Answers of pear_ros.cli.doctor.probes: each question is asked once, two at a time."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="probes")
        self._asked: dict[tuple[str, ...], Future[dict[str, Any]]] = {}

    def begin(self, *question: str) -> None:
        """Ask already; the answer will be wanted."""
        if question not in self._asked:
            self._asked[question] = self._pool.submit(_answer, question)

    def __call__(self, *question: str) -> dict[str, Any]:
        """The answer; with "error" where there is none, and "crashed" where that was rough."""
        self.begin(*question)
        return self._asked[question].result()

    def close(self) -> None:
        """Ask nothing more."""
        self._pool.shutdown(cancel_futures=True)


def _answer(question: tuple[str, ...]) -> dict[str, Any]:
    try:
        return ask("pear_ros.cli.doctor.probes", *question)
    except NoAnswerError as error:
        return {"error": str(error), "crashed": True}
