# SPDX-License-Identifier: Apache-2.0
"""`pear view` without recordings: people of the running system."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pear_ros.ros.running import StartError, run
from pear_ros.ros.viewing.node import ViewerNode
from pear_ros.viewing.bodies import Bodies
from pear_ros.viewing.gate import ListenError
from pear_ros.viewing.live import LiveFeed, LiveSession
from pear_ros.viewing.server import ViewServer


class LiveView:
    """A viewer's node and its server."""

    def __init__(
        self,
        node: ViewerNode,
        feed: LiveFeed,
        bodies: Bodies,
        *,
        host: str,
        port: int,
        token: str | None = None,
    ) -> None:
        """Serve what `node` puts into `feed`. Raises ListenError."""
        self._node = node

        def count(viewers: int) -> None:
            node.viewers = viewers

        self.server = ViewServer(
            lambda viewer: LiveSession(viewer, feed, bodies),
            host=host,
            port=port,
            token=token,
            changed=count,
        )

    def close(self) -> None:
        """Free the port."""
        self.server.close()


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
    views: list[LiveView] = []

    def make() -> ViewerNode:
        feed = LiveFeed("live")
        node = ViewerNode(feed, frame=frame)
        try:
            views.append(LiveView(node, feed, bodies, host=host, port=port, token=token))
        except ListenError as error:
            node.destroy_node()
            raise StartError(str(error)) from error
        announce(views[0].server)
        return node

    try:
        return run(make, list(arguments))
    finally:
        for view in views:
            view.close()
