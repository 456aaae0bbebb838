# SPDX-License-Identifier: Apache-2.0
"""The command line of benchmarks.gpu_check."""

from __future__ import annotations

import os
import signal
import sys
import time
from argparse import ArgumentParser
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.gpu_check.report import write_report
from benchmarks.gpu_check.steps import STEPS, Outcome, left_out, run_step
from benchmarks.report import RESULTS

SECONDS = 530.0
"""Time for all steps, seconds: where a GPU is lent, a command may end after ten minutes."""
_SMOKE_FACTOR = 4.0
"""How much longer each step may take on a processor."""


def main() -> None:
    """Run all steps; the exit status is 1 where one of them does not work."""
    parser = ArgumentParser(prog="python -m benchmarks.gpu_check", description="Try an NVIDIA GPU.")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where reports are written")
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="wheels of pure Python")
    parser.add_argument("--seconds", type=float, help="time for all steps")
    parser.add_argument("--smoke", action="store_true", help="try the steps without a GPU")
    options = parser.parse_args()
    # So that the running step is ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    factor = _SMOKE_FACTOR if options.smoke else 1.0
    ends = time.monotonic() + (options.seconds or factor * SECONDS)
    with ExitStack() as stack:
        folder: Path = options.output or RESULTS
        if options.smoke and not options.output:
            folder = Path(stack.enter_context(TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        outcomes = check(folder, environment(options.wheels), options.smoke, ends)
        print(f"\n{(folder / 'gpu_check.md').read_text()}")
    sys.exit(any(outcome.passed is False for outcome in outcomes))


def check(folder: Path, environ: dict[str, str], smoke: bool, ends: float) -> list[Outcome]:
    """Run the steps until `ends` of time.monotonic(); the report is written after each."""
    outcomes: list[Outcome] = []
    log = folder / "gpu_check.log"
    log.unlink(missing_ok=True)
    for step in STEPS:
        print(f"{step.name}: {step.about} ...", flush=True)
        own = step.limit * (_SMOKE_FACTOR if smoke else 1.0)
        limit = min(own, ends - time.monotonic())
        outcome = run_step(step, folder, environ, smoke, limit) if limit > 0 else left_out(step)
        print(f"  {outcome.verdict}", flush=True)
        outcomes.append(outcome)
        write_report(folder / "gpu_check.md", outcomes, STEPS, smoke)
    return outcomes


def environment(wheels: Path | None) -> dict[str, str]:
    """Return the environment of the steps, in which pure Python `wheels` can be imported."""
    found = sorted(wheels.resolve().glob("*-none-any.whl")) if wheels else []
    if wheels and not found:
        sys.exit(f"--wheels {wheels}: there is no wheel of pure Python (*-none-any.whl)")
    paths = [*map(str, found), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}


if __name__ == "__main__":
    main()
