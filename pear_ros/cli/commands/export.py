# SPDX-License-Identifier: Apache-2.0
"""Arguments of `pear export`: recorded results as arrays, a table, an animation or motion."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from pear_ros.cli.export import FORMATS, ExportOptions
from pear_ros.cli.options import add_output
from pear_ros.core.parameters import MESH_DETAILS
from pear_ros.export.arrays import FLAME_ARRAYS, OWN_ARRAYS, POSE_ARRAYS

HELP = "write recorded results as arrays, a table, an animation, or motion for retargeting"
DESCRIPTION = """\
Reads a bag with results (topics humans and body_model), or the NPZ of `pear run`,
and writes what was measured
  npz    ID.npz for each person: all arrays, in the images in which the person was seen
  csv    joints.csv, one row for each person in each image, metres; empty: unknown
  glb    people.glb, an animation of the open body, for Blender and others
  rrd    people.rrd, meshes, joints and images on the time line of the recording, for Rerun
or motion: z up, the floor at z = 0, a constant rate, smoothed, gaps filled, feet held
  amass  ID_stageii.npz, as AMASS's SMPL-X files, for its loaders and Blender's add-ons
  gmr    ID_gmr.npz, for GMR, which retargets it to humanoids
  bvh    ID.bvh, a skeleton each: y up, centimetres
  trc    ID.trc, joints as markers, for OpenSim: y up, metres
  usd    people.usdc, skinned meshes of the open body
"""
EPILOG = """\
Positions in npz and csv are in the camera's optical frame (x right, y down, z forward).
In glb, y is up and the camera looks along -z, as glTF requires.

arrays of the NPZ, T images in which the person was present:
""" + "\n".join(
    f"  {name:22}{meaning}"
    for name, meaning in {**POSE_ARRAYS, **OWN_ARRAYS, **FLAME_ARRAYS}.items()
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument(
        "source", type=Path, metavar="IN", help="bag (folder, .mcap or .db3) or NPZ of `pear run`"
    )
    parser.add_argument("--format", choices=tuple(FORMATS), required=True)
    add_output(parser, "pear_export")
    parser.add_argument(
        "--person", nargs="+", default=[], metavar="ID", help="only these people (default: all)"
    )
    parser.add_argument(
        "--topic", help="of type pear_msgs/HumanArray, where the bag has several of them"
    )
    parser.add_argument(
        "--mesh-detail",
        choices=MESH_DETAILS,
        default="full",
        help="triangles of the mesh in glb, rrd and usd: all, about 7,000 or about 2,000 "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="IN",
        help="bag or video that the results are of: its images, in rrd (default: none)",
    )
    parser.add_argument(
        "--image", default="", metavar="TOPIC", help="of --images, where the bag has several"
    )
    motion = parser.add_argument_group("motion")
    motion.add_argument(
        "--rate",
        type=_rate,
        metavar="HZ",
        help="frames a second, 30 to 240 (default: 60 if the recording has 45 or more, else 30)",
    )
    motion.add_argument(
        "--max-gap",
        type=_seconds,
        default=0.5,
        metavar="SECONDS",
        help="longest time without the person that is filled in; at longer ones the track is split "
        "(default: %(default)s)",
    )
    motion.add_argument(
        "--frame",
        metavar="FRAME",
        help="fixed frame with z up on the bag's /tf (default: the first of map, odom, world, "
        "base_footprint and base_link that it leads to; without one, up and floor are fitted to "
        "the people, and the camera is taken to stand still)",
    )


def _rate(text: str) -> int:
    """A number of frames a second that all consumers take."""
    if text not in map(str, range(30, 241)):
        raise argparse.ArgumentTypeError(f"must be a whole number from 30 to 240, not {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    """A time, 0 to 10 seconds."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= 10.0:
        raise argparse.ArgumentTypeError(f"must be from 0 to 10, not {text!r}")
    return value


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return the exit code."""
    from pear_ros.cli.export import export

    return export(
        *(options.source, options.format, options.output),
        ids=options.person,
        topic=options.topic,
        options=ExportOptions(
            options.mesh_detail,
            options.rate,
            options.max_gap,
            options.frame,
            options.images,
            options.image,
        ),
    )
