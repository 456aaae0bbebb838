# SPDX-License-Identifier: Apache-2.0
"""Arguments of `pear export-graph`: PEAR's network as ONNX graphs."""

from __future__ import annotations

import argparse
from pathlib import Path

from pear_ros.cli.options import add_model_folder
from pear_ros.core.configuration import GRAPH_PRECISIONS

HELP = "write PEAR's network as ONNX graphs, for robots without torch"
DESCRIPTION = """\
Writes the network of PEAR's checkpoint as ONNX graphs beside it. With them in its model
folder a robot needs neither torch nor the checkpoint.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    add_model_folder(parser)
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=GRAPH_PRECISIONS,
        default=["fp16"],
        help="one graph for each: fp16 and bf16 are for TensorRT, fp32 for onnxruntime and "
        "OpenVINO, too (default: fp16). fp8 (for Ada, Hopper, Thor and newer) and int8_static (for "
        "Orin) are for TensorRT and need calibration, by the package nvidia-modelopt",
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="FOLDER",
        help="pictures, or bags, of people as your camera sees them, with which fp8 and "
        "int8_static are calibrated (default: the eight bundled crops, which are too few)",
    )
    parser.add_argument(
        "--image",
        default="",
        metavar="TOPIC",
        help="image topic of the bags in --calibration, where they have several",
    )


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return the exit code."""
    from pear_ros.cli.export_graph import export_graph

    return export_graph(options.folder, options.precision, options.calibration, options.image)
