# SPDX-License-Identifier: Apache-2.0
"""`pear download`: the landmark models and the demo clip."""

from __future__ import annotations

import argparse

HELP = "download the landmark models and the demo clip, where missing"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand: none."""


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return the exit code."""
    from pear_ros.io.downloads import main as download

    return download()
