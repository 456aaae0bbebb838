# SPDX-License-Identifier: Apache-2.0
"""Arguments of `pear doctor`: check this installation."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

HELP = "check this installation, and say what to do about problems"
DESCRIPTION = """\
Checks this machine, its GPU, Python's libraries, models, engines, ROS 2 and the cameras on
its network. The exit status is 1 where a check FAILs.
"""
_MAX_SECONDS = 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument(
        "--models",
        type=Path,
        metavar="FOLDER",
        help="where PEAR's files are (default: $PEAR_ROS_MODELS or ~/.local/share/pear_ros/models)",
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=5.0,
        metavar="N",
        help="how long cameras are observed; 0: not at all (default: %(default)g)",
    )
    parser.add_argument(
        "--jetson",
        action="store_true",
        help="also check a Jetson's power mode, clocks, memory, TensorRT, engines and last build",
    )
    parser.add_argument("--json", action="store_true", help="print JSON, to attach to an issue")


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return the exit code."""
    from pear_ros.cli.doctor.command import doctor

    return doctor(options.models, options.seconds, options.json, options.jetson)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= _MAX_SECONDS:
        raise argparse.ArgumentTypeError(
            f"must be between 0 and {_MAX_SECONDS:g} seconds, not {text}"
        )
    return value
