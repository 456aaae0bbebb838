# SPDX-License-Identifier: Apache-2.0
"""Arguments of `pear view`: live or recorded people in a web browser."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "show people in a web browser: live, or recorded results"
DESCRIPTION = """\
Serves a page with people as meshes, the camera with its picture, trails and frames.
Without RESULTS, people of the running node (ROS 2): topics humans,
image or image/compressed, /tf and /tf_static. With RESULTS, recorded ones, with a
time line and plots; two of them side by side.
"""
EPILOG = """\
The page is for this computer only, unless --host says otherwise; then a browser needs
the token in the printed link, and all that it sees is sent without encryption.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument(
        "results",
        type=Path,
        nargs="*",
        metavar="RESULTS",
        help="bag with results (folder, .mcap or .db3) or NPZ of `pear run`; none: live",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="SOURCE",
        help="video of an NPZ, or bag with the images of results in a bag without them",
    )
    parser.add_argument("--topic", help="of people, where a bag has several of them")
    parser.add_argument(
        "--image", metavar="TOPIC", help="of images in a bag (default: that with most images)"
    )
    parser.add_argument(
        "--frame",
        default="",
        help="level frame with the floor at z = 0, such as map or odom (default: found in /tf)",
    )
    parser.add_argument(
        "--smplx",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="SMPL-X model (npz), for meshes of results with that body",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s)"
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=8080,
        metavar="PORT",
        help="0: any that is free (default: %(default)s)",
    )
    parser.add_argument(
        "--token",
        help="that a browser must have (default: a new one where --host is not this computer)",
    )
    parser.add_argument(
        "--ros-args",
        nargs=argparse.REMAINDER,
        default=[],
        metavar="...",
        help="for ROS, live only, such as -r humans:=/camera/humans",
    )


def _port(text: str) -> int:
    """Return an argument as the number of a port; anything else is refused."""
    if not (text.isascii() and text.isdecimal() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 65535, not {text}")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return the exit code."""
    from pear_ros.cli.view.command import view

    return view(options)
