# SPDX-License-Identifier: Apache-2.0
"""The command line of `pear replay`. Imports nothing heavy."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from pear_ros.cli.options import positive_integer
from pear_ros.cli.parameter_options import add_parameters, parameters_from
from pear_ros.core.configuration import STORAGES
from pear_ros.core.parameters import Parameters

DESCRIPTION = """\
Finds people in every image of bags (rosbag2: MCAP or sqlite3, compressed, split or cut
off) and writes bags with the results at the images' stamps: humans, body_model and, on
wish, mesh_markers and all that was recorded. Runs need ROS 2's Python packages, no node.

Killed or stopped, the same command goes on where it was, to the same result. A run that
is complete is left as it is.
"""


def add_replay(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `pear replay` but those of the estimator."""
    parser.add_argument(
        "bags",
        type=Path,
        nargs="+",
        metavar="IN",
        help="bag (folder, .mcap or .db3) or folder of bags",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="OUT",
        help="the bag to be written; of several bags, the folder of those to be written",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier replay in OUT")
    parser.add_argument(
        "--with-inputs", action="store_true", help="copy what was recorded into the new bag, too"
    )
    parser.add_argument("--markers", action="store_true", help="write meshes for RViz, too")
    parser.add_argument(
        "--storage",
        choices=STORAGES,
        default="mcap",
        help="format of the bag to be written; Humble reads sqlite3 without further packages "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--start", type=_number(0.0), default=0.0, metavar="S", help="leave out the first S seconds"
    )
    parser.add_argument(
        "--end", type=_number(0.0), metavar="S", help="leave out what is after second S"
    )
    parser.add_argument(
        "--every", type=positive_integer, default=1, metavar="N", help="take every Nth image only"
    )
    _add_workers(parser)
    _add_topics(parser)
    _add_parameters(parser)


def replay_parameters(options: argparse.Namespace) -> Parameters:
    """Return the node's parameters as the command line gives them."""
    detector = "topic" if options.detections else options.detector
    return parameters_from(options, detector=detector, depth=bool(options.depth))


def _add_workers(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("many bags, long bags (docs/replay.md)")
    group.add_argument(
        "--chunk",
        type=_number(1.0),
        metavar="SECONDS",
        help="replay each bag in chunks that know nothing of each other, side by side where "
        "--batch or --ray allow it; ids then begin with the chunk, as in c0_h1",
    )
    group.add_argument(
        "--batch",
        type=positive_integer,
        default=1,
        metavar="N",
        help="bags or chunks replayed at once; PEAR sees the people of their images as one batch. "
        "Changes no result (default: %(default)s)",
    )
    group.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="let workers of Ray replay, which see bags and OUT under the same paths (default: "
        "of this machine). Changes no result",
    )
    group.add_argument(
        "--workers",
        type=positive_integer,
        metavar="N",
        help="how many of them (default: one for each GPU, else for every two processors)",
    )


def _add_topics(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("topics of the bag")
    group.add_argument(
        "--image", default="", metavar="TOPIC", help="images (default: the only one with pictures)"
    )
    group.add_argument(
        "--camera-info", default="", metavar="TOPIC", help="default: camera_info beside the images"
    )
    group.add_argument(
        "--depth", default="", metavar="TOPIC", help="depth images aligned with the images"
    )
    group.add_argument(
        "--detections",
        default="",
        metavar="TOPIC",
        help="vision_msgs/Detection2DArray: who is in the images (default: find out)",
    )


def _add_parameters(parser: argparse.ArgumentParser) -> None:
    add_parameters(
        parser.add_argument_group("parameters of the node"),
        (
            *("field_of_view", "max_humans", "smoothing", "body_height", "calibration"),
            *("detector", "detection_classes", "detection_score", "sync_tolerance"),
            *("publish_vertices", "mesh_detail"),
        ),
    )


def _number(low: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = float(text)
        if not low <= value < math.inf:
            raise argparse.ArgumentTypeError(f"must be {low:g} or more, not {text}")
        return value

    return number
