# SPDX-License-Identifier: Apache-2.0
"""`pear replay`: recorded bags through the node's pipeline, every image."""

from __future__ import annotations

import argparse

from pear_ros.cli.options import add_estimator, has_ros
from pear_ros.cli.replay_options import DESCRIPTION, add_replay
from pear_ros.cli.stopping import ended_soon

HELP = "find people in every image of recorded bags"

__all__ = ["DESCRIPTION", "HELP", "add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    add_replay(parser)
    add_estimator(parser)


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return the exit code."""
    with ended_soon():
        if not has_ros():
            return 1
        from pear_ros.cli.replay import replay

        return replay(options)
