# SPDX-License-Identifier: Apache-2.0
"""The viewer's server: viser behind the gate, and a session for each browser that looks."""

from __future__ import annotations

import contextlib
import io
import secrets
import socket
import threading
from collections.abc import Callable
from typing import Protocol
from urllib.parse import quote

import viser

from pear_ros.core.log import get_logger
from pear_ros.viewing.gate import Gate, is_local, new_token
from pear_ros.viewing.page import page

PORT = 8080
MAX_VIEWERS = 16
"""Browsers that look at once; more are turned away with a sentence."""

logger = get_logger(__name__)


class Session(Protocol):
    """What one browser sees."""

    def close(self) -> None:
        """End its thread; its nodes end with the browser's connection."""


class _Viser(viser.ViserServer):
    """viser without its way to share a scene by a server on the internet."""

    def request_share_url(self, verbose: bool = True) -> str | None:
        """Refuse: nothing leaves this computer."""
        return None


class ViewServer:
    """Serves pages; `open_session` makes what a browser sees as soon as one connects."""

    def __init__(
        self,
        open_session: Callable[[viser.ClientHandle], Session],
        *,
        host: str = "127.0.0.1",
        port: int = PORT,
        token: str | None = None,
        changed: Callable[[int], None] = lambda count: None,
    ) -> None:
        """Listen on `host` and `port` (0: any that is free).

        `token`: that browsers must have; None: none on this computer's own addresses, else a new
        one. `changed`: is told the number of viewers when it changes. Raises
        pear_ros.viewing.gate.ListenError.
        """
        self.token = token if token is not None else ("" if is_local(host) else new_token())
        self._open, self._changed = open_session, changed
        self._host = host
        self._sessions: dict[int, Session | None] = {}
        self._lock = threading.Lock()
        self._viser = _hidden_viser()
        inner = (self._viser.get_host(), self._viser.get_port())
        try:
            self._gate = Gate(host, port, inner, page(), self.token)
        except OSError:
            _quietly(self._viser.stop)
            raise
        self._viser.on_client_connect(self._begin)
        self._viser.on_client_disconnect(self._end)

    @property
    def port(self) -> int:
        """The port."""
        return self._gate.port

    @property
    def url(self) -> str:
        """Address of the page, with the token."""
        host = {"0.0.0.0": _own_name(), "::": _own_name()}.get(self._host, self._host)
        name = f"[{host}]" if ":" in host else host
        query = f"/?token={quote(self.token, safe='')}" if self.token else ""
        return f"http://{name}:{self.port}{query}"

    @property
    def viewers(self) -> int:
        """Number of browsers that look."""
        with self._lock:
            return len(self._sessions)

    def close(self) -> None:
        """End all sessions, and free the port."""
        self._gate.close()
        with self._lock:
            sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            if session:
                session.close()
        _quietly(self._viser.stop)

    def _begin(self, viewer: viser.ClientHandle) -> None:
        with self._lock:
            if len(self._sessions) >= MAX_VIEWERS:
                viewer.gui.add_markdown(f"**{MAX_VIEWERS} browsers look already: close one.**")
                return
            self._sessions[viewer.client_id] = None
            count = len(self._sessions)
        self._changed(count)
        try:
            session = self._open(viewer)
        except Exception:
            logger.exception("A browser cannot be shown anything")
            self._end(viewer)
            return
        with self._lock:
            left = viewer.client_id not in self._sessions
            if not left:
                self._sessions[viewer.client_id] = session
        if left:  # While its session was made.
            session.close()
        elif viewer.client_id not in self._viser.get_clients():  # Before it was known.
            self._end(viewer)

    def _end(self, viewer: viser.ClientHandle) -> None:
        with self._lock:
            if viewer.client_id not in self._sessions:
                return
            session = self._sessions.pop(viewer.client_id)
            count = len(self._sessions)
        if session:
            session.close()
        self._changed(count)


def _hidden_viser() -> _Viser:
    """Return viser on a loopback address and port that no page can guess: one of 2^38."""
    numbers = [str(1 + secrets.randbelow(254)) for _ in range(3)]
    made: list[_Viser] = []
    _quietly(lambda: made.append(_Viser(".".join(["127", *numbers]), 0, verbose=False)))
    return made[0]


def _quietly(action: Callable[[], object]) -> None:
    """Do what viser prints its own addresses for."""
    with contextlib.redirect_stdout(io.StringIO()):
        action()


def _own_name() -> str:
    return socket.gethostname()
