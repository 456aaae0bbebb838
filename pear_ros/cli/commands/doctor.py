# SPDX-License-Identifier: Apache-2.0
"""Arguments of `pear doctor`: check this installation."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "say what is here, what does not fit together, and what to do about it"
DESCRIPTION = """\
Looks at this machine, its GPU, Python's libraries, models, engines, ROS 2 and the cameras
on its network. The exit status is 1 where something FAILs.
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
        help="how long to listen to cameras; 0: not at all (default: %(default)g)",
    )
    parser.add_argument("--json", action="store_true", help="the same as JSON, to go with an issue")


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return the exit code."""
    from pear_ros.cli.doctor.command import doctor

    return doctor(options.models, options.seconds, options.json)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= _MAX_SECONDS:
        raise argparse.ArgumentTypeError(
            f"must be between 0 and {_MAX_SECONDS:g} seconds, not {text}"
        )
    return value
