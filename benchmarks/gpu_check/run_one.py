# SPDX-License-Identifier: Apache-2.0
"""Run one step of benchmarks.gpu_check in this process."""

from __future__ import annotations

import importlib
import sys
from argparse import ArgumentParser
from pathlib import Path

from benchmarks.gpu_check.findings import Findings


def main() -> None:
    """Run the step; the exit status is 1 where a check failed."""
    parser = ArgumentParser(description="Run one step of benchmarks.gpu_check.")
    parser.add_argument("name", help="a module of benchmarks.gpu_check")
    parser.add_argument("findings", type=Path, help="file to which its findings are appended")
    parser.add_argument("--smoke", action="store_true", help="without a GPU")
    options = parser.parse_args()
    findings = Findings(options.findings)
    importlib.import_module(f"benchmarks.gpu_check.{options.name}").run(findings, options.smoke)
    sys.exit(findings.failed)


if __name__ == "__main__":
    main()
