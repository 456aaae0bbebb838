# SPDX-License-Identifier: Apache-2.0
"""Arguments of `pear bench`: how long each stage takes on this machine."""

from __future__ import annotations

import argparse
from pathlib import Path

from pear_ros.cli.options import add_estimator, add_view, estimator_choice, positive_integer

HELP = "measure how long each stage takes on this machine"
DESCRIPTION = """\
Runs the pipeline over a video or a bag and writes the time of each stage as a table
(Markdown) and a plot (PNG), with a description of the machine.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument(
        "source",
        nargs="?",
        help="video file, or bag: a folder, or a file of it (default: the demo clip)",
    )
    parser.add_argument(
        "--image", metavar="TOPIC", help="topic of images, where a bag has several of them"
    )
    parser.add_argument(
        "--frames",
        type=positive_integer,
        default=300,
        metavar="N",
        help="maximum number of measured frames, without those to warm up (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("bench_output"),
        metavar="FOLDER",
        help="where report and plot go, made when missing (default: %(default)s)",
    )
    add_estimator(parser)
    add_view(parser)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return the exit code."""
    from pear_ros.cli.bench.command import bench

    choice = estimator_choice(options)
    source, topic, count = options.source, options.image, options.frames
    return bench(source, topic, count, options.output, choice, view=options.view)
