# SPDX-License-Identifier: Apache-2.0
"""Arguments of `pear evaluate`: accuracy on your own labelled pictures and clips."""

from __future__ import annotations

import argparse
from pathlib import Path

from pear_ros.cli.commands.run import RUN_PARAMETERS
from pear_ros.cli.options import add_estimator, add_output, positive_integer
from pear_ros.cli.parameter_options import add_parameters, parameters_from
from pear_ros.evaluation.arrays import ARRAYS, POINT_ARRAYS
from pear_ros.evaluation.datasets.catalogue import DATASETS

HELP = "measure accuracy on labelled pictures and clips"
DESCRIPTION = """\
Compares what is found with labels and writes a table (report.md, report.json) with
picture sheets of the worst cases. Labels are
  FILE.json       COCO's format: boxes, 17 keypoints, crowds; also COCO-WholeBody's
  FOLDER          YOLO's text files, class 0; pictures are in `images` beside `labels`
  FILE.npz        joints in space of a clip of calibrated cameras
  FILE.qca.txt    calibration by Qualisys, or Pose2Sim's FILE.toml, of synchronous
                  videos: joints in space are triangulated from the views
With --dataset, FOLDER is one of the datasets of PEAR's paper, and published figures
stand beside those that are measured.
"""
EPILOG = "\n\n".join(
    f"{title}:\n" + "\n".join(f"  {name:14}{meaning}" for name, meaning in table.items())
    for title, table in (
        ("arrays of the NPZ of a clip", ARRAYS),
        ("arrays of the NPZ of --points", POINT_ARRAYS),
        ("datasets", {name: f"{one.title}: {one.origin}" for name, one in DATASETS.items()}),
    )
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("labels", type=Path, help="file or folder with labels, or a calibration")
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="where the pictures or videos are (default: beside the labels)",
    )
    add_output(parser, "evaluation")
    parser.add_argument(
        "--baseline",
        choices=("mediapipe",),
        help="compare with MediaPipe Pose, full and heavy; it finds one person. Installed on the "
        "first run, into an environment of its own",
    )
    parser.add_argument(
        "--points",
        type=Path,
        metavar="FILE",
        help="NPZ with 2D points of the views of a calibration, to triangulate in place of those "
        "that the estimator finds",
    )
    parser.add_argument(
        "--dataset",
        choices=tuple(DATASETS),
        help="the labels are a folder with this dataset, as its owners distribute it",
    )
    parser.add_argument(
        "--every",
        type=positive_integer,
        default=1,
        metavar="N",
        help="of the pictures of --dataset take each Nth (default: %(default)s)",
    )
    parser.add_argument(
        "--worst",
        type=positive_integer,
        default=24,
        metavar="N",
        help="cases on each picture sheet at most (default: %(default)s)",
    )
    # The default of this command: nobody is left out for being many.
    add_parameters(parser, RUN_PARAMETERS, max_humans=32)
    add_estimator(parser)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return the exit code."""
    from pear_ros.cli.evaluate import Task, evaluate

    return evaluate(
        Task(
            labels=options.labels,
            images=options.images,
            points=options.points,
            folder=options.output,
            parameters=parameters_from(options),
            baseline=options.baseline is not None,
            worst=options.worst,
            dataset=options.dataset,
            every=options.every,
        )
    )
