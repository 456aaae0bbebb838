# SPDX-License-Identifier: Apache-2.0
"""The parser of the command `pear` and the list of its subcommands."""

from __future__ import annotations

import argparse

from pear_ros import __version__
from pear_ros.cli.commands import (
    annotate,
    bench,
    build_engine,
    demo,
    doctor,
    download,
    evaluate,
    export,
    export_graph,
    import_model,
    replay,
    run,
    stream,
    train,
    view,
)

_COMMANDS = {
    "run": run,
    "stream": stream,
    "download": download,
    "import-model": import_model,
    "build-engine": build_engine,
    "export-graph": export_graph,
    "view": view,
    "export": export,
    "evaluate": evaluate,
    "annotate": annotate,
    "replay": replay,
    "train": train,
    "demo": demo,
    "doctor": doctor,
    "bench": bench,
}
"""The module of each subcommand, in the order of `pear --help`."""


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line, from which the reference page is made."""
    parser = argparse.ArgumentParser(
        prog="pear", description="Whole-body human pose and shape estimation: body, hands and face."
    )
    parser.add_argument("--version", action="version", version=f"pear_ros {__version__}")
    subparsers = parser.add_subparsers(title="subcommands", required=True, metavar="SUBCOMMAND")
    for name, command in _COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=command.HELP,
            description=getattr(command, "DESCRIPTION", None),
            epilog=getattr(command, "EPILOG", None),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(subparser)
        subparser.set_defaults(call=command.run)
    return parser
