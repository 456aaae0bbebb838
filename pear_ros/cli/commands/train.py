# SPDX-License-Identifier: Apache-2.0
"""Arguments of `pear train`: train PEAR's network on renders and annotated people."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "train PEAR's network on renders and annotated people"
DESCRIPTION = """\
Trains PEAR's network, of any size, for the open body, SMPL-X or EHM-s, on renders and
annotated people, and writes weights that the node runs. What an earlier run of the same
configuration has written is continued. Ctrl-C ends it after the current step, with its state.
Several processes: torchrun --nproc-per-node N -m pear_ros.cli train CONFIG
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument(
        "config", type=Path, metavar="CONFIG", help="YAML file, see docs/training.md"
    )


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return the exit code."""
    from pear_ros.cli.train import train

    return train(options.config)
