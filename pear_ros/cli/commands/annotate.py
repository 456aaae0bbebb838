# SPDX-License-Identifier: Apache-2.0
"""Arguments of `pear annotate`: annotated people as samples for training."""

from __future__ import annotations

import argparse
from pathlib import Path

from pear_ros.cli.options import add_output, positive_integer
from pear_ros.cli.parameter_options import add_parameters, parameters_from
from pear_ros.cli.stopping import ended_soon

HELP = "annotate people in pictures, videos and bags, as samples for training"
DESCRIPTION = """\
Finds people, fits bodies to them, checks that landmarks, fit and mask agree, and
writes one sample for each person into shards of WebDataset. The same command
resumes an interrupted run. Inputs are
  PICTURE, VIDEO, BAG   a file, or a folder of them
  FILE.json             pictures with people in COCO's format, or COCO-WholeBody's
"""
EPILOG = """\
annotations of your own (--labels):
  FILE.npz   of `pear run` or `pear export`, or AMASS's layout with an array `camera`
             (width, height, fx, fy, cx, cy): parameters in SMPL-X's layout
  BAG        of `pear replay`, or recorded from the node
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("inputs", type=Path, nargs="+", metavar="IN", help="what to annotate")
    add_output(parser, "shards")
    parser.add_argument(
        "--labels",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="annotations of the people in one video, bag or folder of pictures; may be repeated",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="FOLDER",
        help="where the pictures of FILE.json are (default: beside it)",
    )
    parser.add_argument(
        "--topic", default="", help="topic of images in bags (default: the only one)"
    )
    parser.add_argument(
        "--smplx",
        type=Path,
        metavar="FILE",
        help="npz file of SMPL-X, to compare --labels with its parameters to the images",
    )
    _add_run(parser)
    add_parameters(parser, ("field_of_view", "min_detection_score", "landmarks"))


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--every",
        type=positive_integer,
        default=1,
        metavar="N",
        help="annotate every N-th image (default: %(default)s)",
    )
    parser.add_argument(
        "--images-per-shard",
        type=positive_integer,
        default=250,
        metavar="N",
        help="images to a shard; as many are done again after a kill (default: %(default)s)",
    )
    parser.add_argument(
        "--module",
        action="append",
        default=[],
        metavar="PART=PACKAGE.MODULE:FUNCTION",
        help="use another module for a part: detector, body, left_hand, right_hand, face, points, "
        "mask (docs/annotate.md); may be repeated",
    )
    parser.add_argument(
        "--sheet",
        type=positive_integer,
        default=24,
        metavar="N",
        help="samples on each picture sheet at most (default: %(default)s)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="remove the shards of an earlier run"
    )
    parser.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="annotate sources by workers of Ray, which need inputs and shards under the same "
        "paths (default: those of this machine)",
    )
    parser.add_argument(
        "--workers",
        type=positive_integer,
        metavar="N",
        help="number of Ray workers (default: one for every two processors)",
    )


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return the exit code."""
    with ended_soon():
        from pear_ros.annotation.job import Job
        from pear_ros.annotation.sources import Inputs
        from pear_ros.cli.annotate import Run, annotate

        inputs = Inputs(
            # Absolute, since workers elsewhere run in another folder.
            paths=[path.absolute() for path in options.inputs],
            labels=[path.absolute() for path in options.labels],
            images=options.images and options.images.absolute(),
            topic=options.topic,
            smplx=options.smplx and options.smplx.absolute(),
        )
        job = Job(
            inputs,
            options.output.absolute(),
            parameters_from(options),
            options.every,
            options.images_per_shard,
            dict(tuple(one.partition("=")[::2]) for one in options.module),
        )
        ray = Run(options.ray is not None, options.ray or None, options.workers)
        return annotate(job, ray, options.sheet, overwrite=options.overwrite)
