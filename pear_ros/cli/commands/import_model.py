# SPDX-License-Identifier: Apache-2.0
"""Arguments of `pear import-model`: check and convert the files that PEAR needs."""

from __future__ import annotations

import argparse
from pathlib import Path

from pear_ros.cli.options import add_model_folder

HELP = "check and convert the files that PEAR needs, and draw their body"
DESCRIPTION = """\
Finds the files that PEAR needs, lists missing ones and where to get them, converts the
body models and draws them.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    add_model_folder(parser)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("pear_body.png"),
        metavar="PNG",
        help="picture of the imported body (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return the exit code."""
    from pear_ros.cli.import_model import import_model

    return import_model(options.folder, options.output)
