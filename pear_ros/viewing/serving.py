# SPDX-License-Identifier: Apache-2.0
"""Serve recordings to browsers."""

from __future__ import annotations

from collections.abc import Sequence

from pear_ros.viewing.bodies import Bodies
from pear_ros.viewing.comparison import Comparison
from pear_ros.viewing.moment import Recording
from pear_ros.viewing.recorded import RecordedSession
from pear_ros.viewing.server import PORT, ViewServer


def serve_recordings(
    runs: Sequence[Recording],
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    token: str | None = None,
    bodies: Bodies | None = None,
) -> ViewServer:
    """Serve one or more runs side by side until the server is closed.

    Arguments as in ViewServer; `bodies`: for meshes, the open body by default. The caller closes
    the runs after the server. Raises pear_ros.viewing.gate.ListenError.
    """
    runs_together, skins = Comparison(runs), bodies or Bodies()
    return ViewServer(
        lambda viewer: RecordedSession(viewer, runs_together, skins),
        host=host,
        port=port,
        token=token,
    )
