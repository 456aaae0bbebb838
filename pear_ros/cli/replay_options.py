# SPDX-License-Identifier: Apache-2.0
"""The command line of `pear replay`. Imports nothing heavy."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pear_ros.core.configuration import STORAGES
from pear_ros.core.parameters import MESH_DETAILS

if TYPE_CHECKING:
    from pear_ros.core.parameters import Parameters

_MANY = 1e9
"""More than any number here: 30 years, where it is of seconds."""
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
        "--every", type=_count, default=1, metavar="N", help="take every Nth image only"
    )
    _add_workers(parser)
    _add_topics(parser)
    _add_parameters(parser)


def parameters_from(options: argparse.Namespace) -> Parameters:
    """The node's parameters as the command line gives them."""
    from pear_ros.core.parameters import Parameters

    return Parameters(
        estimator=options.estimator,
        model_folder=str(options.models.absolute()) if options.models else "",
        pear_body=options.pear_body,
        runtime=options.runtime,
        strict_runtime=options.strict_runtime,
        precision=options.precision,
        detector="topic" if options.detections else options.detector,
        detection_classes=options.detection_classes,
        detection_score=options.detection_score,
        depth=bool(options.depth),
        sync_tolerance=options.sync_tolerance,
        max_humans=options.max_humans,
        smoothing=not options.no_smoothing,
        body_height=options.body_height,
        calibration=options.calibration,
        field_of_view=options.fov,
        publish_vertices=options.vertices,
        mesh_detail=options.mesh_detail,
    )


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
        type=_count,
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
        type=_count,
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
    group = parser.add_argument_group("parameters, as of the node (ros2 param describe)")
    group.add_argument(
        "--fov",
        type=_number(1.0, 179.0),
        default=60.0,
        metavar="DEGREES",
        help="field of view where there is no calibration (default: %(default)g)",
    )
    group.add_argument(
        "--max-humans",
        type=_count,
        default=8,
        metavar="N",
        help="greatest number of people followed at once (default: %(default)s)",
    )
    group.add_argument("--no-smoothing", action="store_true", help="leave jitter as it is")
    group.add_argument(
        "--body-height",
        type=_number(0.0, 2.5),
        default=0.0,
        metavar="METRES",
        help="standing height of the people, where it is known",
    )
    group.add_argument(
        "--calibration",
        choices=("auto", "raw", "rectified"),
        default="auto",
        help="what camera_info says of the images (default: %(default)s)",
    )
    group.add_argument(
        "--detector",
        choices=("built_in", "full_frame"),
        default="built_in",
        help="what finds people without --detections (default: %(default)s)",
    )
    group.add_argument(
        "--detection-classes",
        default="person",
        metavar="IDS",
        help="class ids of people among detections (default: %(default)s)",
    )
    group.add_argument(
        "--detection-score",
        type=_number(0.0, 1.0),
        default=0.3,
        metavar="S",
        help="least score of detections (default: %(default)g)",
    )
    group.add_argument(
        "--sync-tolerance",
        type=_number(0.0, 1.0),
        default=0.02,
        metavar="SECONDS",
        help="by which stamps of depth and detections may differ (default: %(default)g)",
    )
    group.add_argument(
        "--vertices", action="store_true", help="write every mesh vertex into humans"
    )
    group.add_argument(
        "--mesh-detail",
        choices=MESH_DETAILS,
        default="medium",
        help="triangles of the meshes of --markers (default: %(default)s)",
    )


def _number(low: float, high: float = _MANY) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            limits = f"between {low:g} and {high:g}" if high < _MANY else f"{low:g} or more"
            raise argparse.ArgumentTypeError(f"must be {limits}, not {text}")
        return value

    return number


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text}")
    return value
