# SPDX-License-Identifier: Apache-2.0
"""The steps of benchmarks.gpu_check, each a process with a time limit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from benchmarks.gpu_check.findings import Finding, read_findings

_TO_END = 10.0
"""Time that a killed process gets to end, seconds: one that waits for a driver may not end."""


@dataclass(frozen=True)
class Step:
    """A process to run."""

    name: str
    about: str
    """What it tries, in plain words."""
    limit: float
    """Seconds after which it is killed."""
    command: tuple[str, ...]
    """Arguments of Python; {folder}, {findings} and {seconds} are filled in."""


def _own(name: str, about: str, limit: float) -> Step:
    """Return a step of this package."""
    command = ("-m", "benchmarks.gpu_check.run_one", name, "{findings}")
    return Step(name, about, limit, command)


STEPS = (
    _own("cuda_layer", "memory, streams and graphs of CUDA by ctypes", 45.0),
    _own("torch_path", "torch's graphs, crops and meshes against eager torch and the CPU", 90.0),
    _own("device_images", "images that stay on the GPU: JPEGs, and crops by one kernel", 40.0),
    _own("full_gpu", "PEAR falls back where the GPU's memory is taken", 60.0),
    _own("probe", "attention and matrix products of the network by each library", 60.0),
    _own("profile_replay", "kernels of one person's image", 75.0),
    Step(
        "benchmark",
        "benchmarks.gpu, whose report is gpu.md",
        330.0,
        ("-m", "benchmarks.gpu", "--output", "{folder}", "--seconds", "{seconds}"),
    ),
)
"""In the order in which they are run: what the later ones build on comes first."""


@dataclass(frozen=True)
class Outcome:
    """How a step ended."""

    step: Step
    verdict: str
    """One sentence in plain words."""
    passed: bool | None
    """Whether all of it works; None where it was not run."""
    seconds: float
    findings: tuple[Finding, ...]


def left_out(step: Step) -> Outcome:
    """Return the outcome of a step for which there is no time."""
    return Outcome(step, "left out: no time remains", None, 0.0, ())


def run_step(
    step: Step, folder: Path, environ: Mapping[str, str], smoke: bool, limit: float
) -> Outcome:
    """Run `step` for at most `limit` seconds; its output is added to FOLDER/gpu_check.log."""
    log, start = folder / "gpu_check.log", time.monotonic()
    with TemporaryDirectory() as scratch:
        findings = Path(scratch) / "findings"
        # The benchmark starts nothing new when its time is up, and ends what it has begun.
        values = {"folder": folder, "findings": findings, "seconds": f"{0.75 * limit:.0f}"}
        command = [sys.executable, *(part.format(**values) for part in step.command)]
        with log.open("a") as output:
            output.write(f"\n==== {step.name}\n")
            output.flush()
            before = output.tell()
            code = _run([*command, *(["--smoke"] if smoke else [])], output, environ, limit)
        found = tuple(read_findings(findings))
        with log.open(errors="replace") as output:
            output.seek(before)
            lines = [line.strip() for line in output if line.strip()]
    passed, verdict = _verdict(code, limit, found, lines)
    return Outcome(step, verdict, passed, time.monotonic() - start, found)


def _run(
    command: list[str], output: TextIO, environ: Mapping[str, str], limit: float
) -> int | None:
    """Return the exit status; None where the process was killed at its limit."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=dict(environ),
        start_new_session=True,
    )
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        return None
    finally:
        # What the step started ends with it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_TO_END)


def _verdict(
    code: int | None, limit: float, found: tuple[Finding, ...], lines: list[str]
) -> tuple[bool, str]:
    """Return whether a step works, and the sentence about it."""
    after = f" after: {found[-1].what}" if found else ""
    failed = [finding for finding in found if finding.passed is False]
    also = f"; and {_named(failed)}" if failed else ""
    if code is None:
        return False, f"does not end: killed after {limit:.0f} s{after}{also}"
    if code < 0:
        return False, f"crashes with {_signal(-code)}{after}{also}"
    if failed:
        return False, _named(failed)
    if code:
        return False, f"fails with status {code}{after}: {lines[-1] if lines else 'no output'}"
    passed = sum(finding.passed is True for finding in found)
    return True, f"works: {passed} checks passed" if passed else "works"


def _named(failed: list[Finding]) -> str:
    return "does not work: " + "; ".join(
        f"{finding.what} ({finding.measured})" if finding.measured else finding.what
        for finding in failed
    )


def _signal(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"
