# SPDX-License-Identifier: Apache-2.0
"""Options of `pear run` for a live stream, made from the declarations of streams' options."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pear_ros.streaming.options import STREAM_DECLARATIONS, STREAM_DEFAULTS, StreamOptions

if TYPE_CHECKING:
    from pear_ros.streaming.urls import StreamUrl

_PREFIX = "stream_"


def add_stream(parser: argparse.ArgumentParser) -> None:
    """Add the options, which `stream_options` reads, beside `stream` and `stream_record`."""
    group = parser.add_argument_group(
        "stream", "Live motion for humanoids and avatars. This is no safety function."
    )
    group.add_argument(
        "--stream",
        type=stream_url,
        action="append",
        default=[],
        metavar="URL",
        help="send the motion of one person: sonic://127.0.0.1:5556 (?version=2, ?frames=4), "
        "json+udp://127.0.0.1:9870, ws://127.0.0.1:8765 or vmc://127.0.0.1:39539; may be repeated",
    )
    group.add_argument(
        "--stream-record",
        type=Path,
        metavar="FILE",
        help="write what is sent to the first URL, for `pear stream`",
    )
    for name, declaration in STREAM_DECLARATIONS.items():
        default = STREAM_DEFAULTS[name]
        group.add_argument(
            f"--stream-{name.replace('_', '-')}",
            type=_parser(name),
            default=default,
            metavar=declaration.unit.upper() or "WHO",
            help=f"{declaration.help} (default: {default})",
        )


def stream_options(options: argparse.Namespace) -> StreamOptions:
    """Return the values of the options that `add_stream` added."""
    return StreamOptions(**{name: getattr(options, _PREFIX + name) for name in STREAM_DEFAULTS})


def stream_url(text: str) -> StreamUrl:
    """Return an argument as the URL of a stream; anything else is refused."""
    from pear_ros.streaming.urls import parse_stream_url

    try:
        return parse_stream_url(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser(name: str) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return STREAM_DECLARATIONS[name].parse(type(STREAM_DEFAULTS[name]), text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse
