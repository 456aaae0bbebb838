# SPDX-License-Identifier: Apache-2.0
"""`pear view` without recordings: people of the running system."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from pear_ros.ros.running import StartError, run
from pear_ros.ros.viewing.node import ViewerNode
from pear_ros.viewing.bodies import Bodies
from pear_ros.viewing.gate import ListenError
from pear_ros.viewing.live import LiveFeed, LiveSession
from pear_ros.viewing.server import ViewServer

_NICENESS = 10
"""By which the viewer gives way to the node, where both want the same cores."""


def view_live(
    arguments: Sequence[str],
    announce: Callable[[ViewServer], None],
    *,
    bodies: Bodies,
    host: str,
    port: int,
    token: str | None = None,
    frame: str = "",
) -> int:
    """Serve people until Ctrl-C; return the exit status.

    `arguments`: for ROS, beginning with --ros-args; `announce` is called when browsers can connect.
    """
    os.nice(_NICENESS)
    servers: list[ViewServer] = []

    def make() -> ViewerNode:
        feed = LiveFeed("live")
        node = ViewerNode(feed, frame=frame)
        try:
            server = ViewServer(
                lambda viewer: LiveSession(viewer, feed, bodies),
                host=host,
                port=port,
                token=token,
                changed=node.count_viewers,
            )
        except ListenError as error:
            node.destroy_node()
            raise StartError(str(error)) from error
        servers.append(server)
        announce(server)
        return node

    try:
        return run(make, list(arguments))
    finally:
        for server in servers:
            server.close()
