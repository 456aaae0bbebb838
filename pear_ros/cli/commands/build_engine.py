# SPDX-License-Identifier: Apache-2.0
"""Arguments of `pear build-engine`: build PEAR's TensorRT engine for this machine's GPU."""

from __future__ import annotations

import argparse

from pear_ros.cli.options import add_model_folder
from pear_ros.cli.parameter_options import add_parameters

HELP = "build PEAR's TensorRT engine for this machine's GPU"
DESCRIPTION = """\
Builds the TensorRT engine that the node would otherwise build when it is configured,
reports the deviation of its results from those of the fp32 network, and keeps it. Takes
minutes on a robot.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    add_model_folder(parser)
    add_parameters(parser, ("pear_body", "precision", "max_people"))


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return the exit code."""
    from pear_ros.cli.build_engine import build_engine

    return build_engine(options.folder, options.pear_body, options.precision, options.max_people)
