# SPDX-License-Identifier: Apache-2.0
"""Arguments of `pear run`: people in an image, a video or a camera, without ROS."""

from __future__ import annotations

import argparse
import sys

from pear_ros.cli.options import add_estimator, add_output
from pear_ros.cli.parameter_options import add_parameters, parameters_from
from pear_ros.cli.stream_options import add_stream, stream_options
from pear_ros.io.run_arrays import ARRAYS

HELP = "find people in an image, a video or a camera, without ROS"
DESCRIPTION = (
    "Finds people and writes their meshes drawn over the image, beside a view of\n"
    "them from the side (PNG or MP4), and all their parameters (NPZ)."
)
EPILOG = "arrays of the NPZ, P persons over all frames, F frames:\n" + "\n".join(
    f"  {name:17}{meaning}" for name, meaning in ARRAYS.items()
)

RUN_PARAMETERS = ("field_of_view", "max_humans", "min_detection_score", "rotate")
"""Parameters that are options of this command and of `pear evaluate`."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument(
        "source", help="image or video file, or number of a camera (0 is the first)"
    )
    add_output(parser, "pear_output")
    # The default of this command; the node's is greater.
    add_parameters(parser, (*RUN_PARAMETERS, "reidentify_seconds"), max_humans=4)
    add_estimator(parser)
    add_stream(parser)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return the exit code."""
    from pear_ros.cli.run import run as run_source
    from pear_ros.cli.run_stream import StreamRequest

    if options.stream_record is not None and not options.stream:
        print("error: --stream-record needs --stream: name a URL", file=sys.stderr)
        return 1
    streams = None
    if options.stream:
        streams = StreamRequest(options.stream, stream_options(options), options.stream_record)
    return run_source(options.source, options.output, parameters_from(options), streams)
