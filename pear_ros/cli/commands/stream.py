# SPDX-License-Identifier: Apache-2.0
"""Arguments of `pear stream`: a recorded stream sent again."""

from __future__ import annotations

import argparse
from pathlib import Path

from pear_ros.cli.stream_options import stream_url

HELP = "send a recorded stream again, byte for byte"
DESCRIPTION = """\
Sends the packets of a file of `pear run --stream-record`, each at its time. A
publisher or server (sonic://, ws://) waits for the first consumer.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the subcommand."""
    parser.add_argument("file", type=Path, metavar="FILE", help="recorded stream")
    parser.add_argument(
        "--to",
        type=stream_url,
        metavar="URL",
        help="of the recorded protocol (default: the URL that was recorded)",
    )


def run(options: argparse.Namespace) -> int:
    """Run the subcommand; return the exit code."""
    from pear_ros.cli.stream import stream

    return stream(options.file, options.to)
