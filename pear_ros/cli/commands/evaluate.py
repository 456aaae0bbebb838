# SPDX-License-Identifier: Apache-2.0
"""Arguments of `pear evaluate`: accuracy on your own labelled pictures and clips."""

from __future__ import annotations

import argparse
from pathlib import Path

from pear_ros.cli.options import add_estimator, positive_integer
from pear_ros.cli.parameter_options import add_parameters, parameters_from

HELP = "measure accuracy on labelled pictures and clips"
DESCRIPTION = """\
Compares what is found with labels and writes a table (report.md, report.json) with
picture sheets of the worst cases. Labels are
  FILE.json  COCO's format: boxes, 17 keypoints, crowds; also COCO-WholeBody's
  FOLDER     YOLO's text files, class 0; pictures are in `images` beside `labels`
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("labels", type=Path, help="file or folder with labels")
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="where the pictures are (default: beside the labels)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("evaluation"),
        metavar="FOLDER",
        help="where results go, made when missing (default: %(default)s)",
    )
    parser.add_argument(
        "--worst",
        type=positive_integer,
        default=24,
        metavar="N",
        help="cases on each picture sheet at most (default: %(default)s)",
    )
    # The defaults of this command: nobody is left out for being many.
    add_parameters(parser, ("field_of_view", "max_humans"), max_humans=32)
    add_estimator(parser)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return the exit code."""
    from pear_ros.cli.evaluate import evaluate

    return evaluate(
        options.labels, options.images, options.output, parameters_from(options), options.worst
    )
