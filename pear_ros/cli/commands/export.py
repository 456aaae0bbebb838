# SPDX-License-Identifier: Apache-2.0
"""Arguments of `pear export`: recorded results as arrays, a table or an animation."""

from __future__ import annotations

import argparse
from pathlib import Path

from pear_ros.cli.options import add_output
from pear_ros.core.parameters import MESH_DETAILS
from pear_ros.export.arrays import AMASS_ARRAYS, FLAME_ARRAYS, OWN_ARRAYS

HELP = "write recorded results as arrays, as a table or as an animation"
DESCRIPTION = """\
Reads a bag with results (topics humans and body_model), or the NPZ of `pear run`,
and writes
  npz  ID.npz for each person, named as in AMASS's SMPL-X files
  csv  joints.csv, one row for each person in each image, metres; empty: unknown
  glb  people.glb, an animation of the open body, for Blender and others
  rrd  people.rrd, meshes, joints and images on the time line of the recording, for Rerun
"""
EPILOG = """\
Positions are in the camera's optical frame (x right, y down, z forward). In glb, y is
up and the camera looks along -z, as glTF requires.

arrays of the NPZ, T images in which the person was present:
""" + "\n".join(
    f"  {name:22}{meaning}"
    for name, meaning in {**AMASS_ARRAYS, **OWN_ARRAYS, **FLAME_ARRAYS}.items()
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument(
        "source", type=Path, metavar="IN", help="bag (folder, .mcap or .db3) or NPZ of `pear run`"
    )
    parser.add_argument("--format", choices=("npz", "csv", "glb", "rrd"), required=True)
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
        help="triangles of the mesh in glb and rrd: all, about 7,000 or about 2,000 "
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


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return the exit code."""
    from pear_ros.cli.export import export

    return export(
        *(options.source, options.format, options.output),
        ids=options.person,
        topic=options.topic,
        mesh_detail=options.mesh_detail,
        images=options.images,
        image_topic=options.image,
    )
