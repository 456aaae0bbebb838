# SPDX-License-Identifier: Apache-2.0
"""The command `pear`."""

from __future__ import annotations

from collections.abc import Sequence

from pear_ros.cli.stopping import INTERRUPTED, stopped_by_signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, that of the process unless given; return the exit code.

    It is 130 after Ctrl-C and 143 after SIGTERM, whatever was being done.
    """
    with stopped_by_signals() as stop:
        try:
            # Imported here, so that a signal in the first second has no traceback, either.
            from pear_ros.cli.parser import make_parser

            options = make_parser().parse_args(arguments)
            code: int = options.call(options)
        except KeyboardInterrupt:
            return stop.code or INTERRUPTED
        except Exception:
            if stop.code is None:
                raise
            return stop.code  # What an interrupted import raises depends on the module.
    return stop.code if stop.code is not None and code == INTERRUPTED else code
