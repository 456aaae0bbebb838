# SPDX-License-Identifier: Apache-2.0
"""Arguments of `pear replay`; imports nothing heavy."""

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
Finds people in every image of bags (rosbag2: MCAP or sqlite3, also compressed, split or
truncated) and writes bags with the results at the images' stamps: humans, body_model and,
optionally, mesh_markers and the recorded topics. Needs ROS 2's Python packages, no node.

After an interruption or a kill, the same command resumes the replay, with the same
results. A complete replay is not changed.
"""


def add_replay(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `pear replay` except those of the estimator."""
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
        help="bag to write; for several bags, the folder for them",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier replay in OUT")
    parser.add_argument(
        "--with-inputs", action="store_true", help="copy the recorded topics into the new bag"
    )
    parser.add_argument("--markers", action="store_true", help="write mesh_markers for RViz")
    parser.add_argument(
        "--storage",
        choices=STORAGES,
        default="mcap",
        help="format of the bag to write; Humble reads sqlite3 without further packages "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--start", type=_number(0.0), default=0.0, metavar="S", help="skip the first S seconds"
    )
    parser.add_argument("--end", type=_number(0.0), metavar="S", help="stop after second S")
    parser.add_argument(
        "--every", type=positive_integer, default=1, metavar="N", help="take only every Nth image"
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
        help="replay each bag in independent chunks, in parallel with --batch or --ray; ids then "
        "begin with the chunk, as in c0_h1",
    )
    group.add_argument(
        "--batch",
        type=positive_integer,
        default=1,
        metavar="N",
        help="bags or chunks replayed at once; PEAR processes the people of their images as one "
        "batch. Results do not depend on it (default: %(default)s)",
    )
    group.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="replay by workers of Ray, which need bags and OUT under the same paths (default: "
        "those of this machine). Results do not depend on it",
    )
    group.add_argument(
        "--workers",
        type=positive_integer,
        metavar="N",
        help="number of Ray workers (default: one for each GPU, else for every two processors)",
    )


def _add_topics(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("topics of the bag")
    group.add_argument(
        "--image",
        default="",
        metavar="TOPIC",
        help="images (default: the only topic with pictures)",
    )
    group.add_argument(
        "--camera-info",
        default="",
        metavar="TOPIC",
        help="calibration (default: camera_info in the namespace of the images)",
    )
    group.add_argument(
        "--depth", default="", metavar="TOPIC", help="depth images aligned with the images"
    )
    group.add_argument(
        "--detections",
        default="",
        metavar="TOPIC",
        help="vision_msgs/Detection2DArray with the people in the images (default: detect them)",
    )


def _add_parameters(parser: argparse.ArgumentParser) -> None:
    add_parameters(
        parser.add_argument_group("parameters of the node"),
        (
            *("field_of_view", "max_humans", "smoothing", "body_height", "calibration", "rotate"),
            *("detector", "min_detection_score", "detection_classes", "detection_score"),
            *("sync_tolerance", "max_pixels"),
            *("floor", "ground_frame", "camera_height", "camera_tilt"),
            *("floor_tilt_error", "floor_height_error", "target_frame"),
            *("publish_vertices", "mesh_detail"),
        ),
    )


def _number(low: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value < math.inf:
            raise argparse.ArgumentTypeError(f"must be {low:g} or more, not {text}")
        return value

    return number
