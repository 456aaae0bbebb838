# SPDX-License-Identifier: Apache-2.0
"""`pear view`: serve live or recorded people to browsers, until Ctrl+C."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from pear_ros.bags.topic import BagError
from pear_ros.cli.options import has_ros
from pear_ros.cli.view.open import open_recording
from pear_ros.core.quoting import printable
from pear_ros.export.tracks import ResultsError

if TYPE_CHECKING:
    from pear_ros.viewing.moment import Recording
    from pear_ros.viewing.server import ViewServer

_PORT = 8080
_INSTALL = "pip install 'viser<1.2' websockets"


def view(options: argparse.Namespace) -> int:
    """Serve what the options of pear_ros.cli.commands.view say; return the exit code."""
    if not _has_viser():
        return 1
    from pear_ros.viewing.bodies import Bodies

    try:
        bodies = Bodies(options.smplx)
    except (ValueError, OSError) as error:
        return _failed(error)
    listening = {"host": options.host, "port": options.port, "token": options.token}
    if not options.results:
        if not has_ros():
            return 1
        from pear_ros.ros.viewing.live_view import view_live

        arguments = ["--ros-args", *options.ros_args] if options.ros_args else []
        return view_live(arguments, _announce, bodies=bodies, frame=options.frame, **listening)
    from pear_ros.viewing.serving import serve_recordings

    def opened(source: Path) -> Recording:
        return open_recording(
            source,
            options.images,
            topic=options.topic,
            image_topic=options.image,
            frame=options.frame,
        )

    return _serve(
        options.results, opened, lambda runs: serve_recordings(runs, bodies=bodies, **listening)
    )


def view_results(results: Path, images: Path | None = None) -> int:
    """Serve results that were just made, on the usual port or one that is free.

    `images`: the video of an NPZ. Returns the exit code.
    """
    if not _has_viser():
        return 1
    from pear_ros.viewing.gate import ListenError
    from pear_ros.viewing.serving import serve_recordings

    def served(runs: Sequence[Recording]) -> ViewServer:
        try:
            return serve_recordings(runs, port=_PORT)
        except ListenError:
            return serve_recordings(runs, port=0)

    return _serve([results], lambda source: open_recording(source, images), served)


def _serve(
    sources: Sequence[Path],
    opened: Callable[[Path], Recording],
    served: Callable[[Sequence[Recording]], ViewServer],
) -> int:
    """Serve recordings until Ctrl+C; return the exit code."""
    with ExitStack() as stack:
        runs = []
        try:
            for source in sources:
                run = opened(source)
                stack.callback(run.close)
                runs.append(run)
            _tell_apart(runs, sources)
            server = served(runs)
        except (ResultsError, BagError, OSError) as error:  # also ListenError, VideoError
            return _failed(error)
        stack.callback(server.close)
        _announce(server)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()
    return 0


def _tell_apart(runs: Sequence[Recording], sources: Sequence[Path]) -> None:
    """Add folders to names that several runs have, such as those of one video."""
    names = [run.name for run in runs]
    for run, source in zip(runs, sources, strict=True):
        if names.count(run.name) > 1:
            run.name = f"{source.resolve().parent.name}/{run.name}"


def _announce(server: ViewServer) -> None:
    if server.token:
        print(
            "warning: everybody on the network who has this link can look, and the connection is "
            "not encrypted",
            file=sys.stderr,
        )
    print(f"Open {server.url} in a browser; Ctrl+C ends.", flush=True)


def _has_viser() -> bool:
    """Return whether the browser's library is installed; print what to do where not."""
    try:
        import viser  # noqa: F401
    except ModuleNotFoundError as error:
        print(f"error: {error.name} is missing: {_INSTALL}", file=sys.stderr)
        return False
    return True


def _failed(error: Exception) -> int:
    print(printable(f"error: {error}"), file=sys.stderr)
    return 1
