# SPDX-License-Identifier: Apache-2.0
"""Arguments of `pear demo`: the demo clip through the ROS 2 node, recorded."""

from __future__ import annotations

import argparse
from pathlib import Path

from pear_ros.cli.options import add_estimator, add_view, estimator_choice, has_ros

HELP = "play the demo clip through the ROS 2 node and record everything"
DESCRIPTION = """\
Starts the real node, plays the demo clip into it over DDS, and leaves a video, a contact
sheet, a bag (MCAP) and a table of what happened.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("demo_output"),
        metavar="FOLDER",
        help="where results go; those of an earlier demo are replaced (default: %(default)s)",
    )
    add_estimator(parser)
    add_view(parser)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return the exit code."""
    if not has_ros():
        return 1
    from pear_ros.cli.demo.command import demo

    return demo(options.output, estimator_choice(options), view=options.view)
