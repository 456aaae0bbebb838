# SPDX-License-Identifier: Apache-2.0
"""Text messages to the clients of a WebSocket server, which runs in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from pear_ros.streaming.hosts import ALL_INTERFACES
from pear_ros.streaming.outputs import StreamError

_START_SECONDS = 10.0
_LOCAL_HOSTS = ("localhost", "127.0.0.1", "::1")
_ANY_IPV4 = "0.0.0.0"
_FORBIDDEN = 1008
"""Close code of a policy violation (RFC 6455)."""
_CLOSE_SECONDS = 0.5
"""Time for which a client that does not answer holds up the end of a stream."""
_SILENT = logging.getLogger(f"{__name__}.handshakes")
"""For the tracebacks of `websockets`, one for each connection that is no WebSocket's."""
_SILENT.disabled = True


class WebSocketOutput:
    """Sends each client the newest message; those that a slow client did not take are dropped."""

    def __init__(self, hosts: Sequence[str], port: int) -> None:
        """Listen on the IP addresses `hosts`. Raises StreamError where the port cannot be used.

        Pages that a browser loaded from other hosts than this one are refused.
        """
        import websockets

        self._websockets: Any = websockets
        self._loop = asyncio.new_event_loop()
        self._clients: set[asyncio.Queue[str]] = set()
        self._stopping = asyncio.Event()
        self._opened = threading.Event()
        self._problem: OSError | None = None
        self.address = f"{hosts[0]}:{port}"
        self._thread = threading.Thread(
            target=self._loop.run_until_complete, args=(self._serve(hosts, port),), daemon=True
        )
        self._thread.start()
        self._opened.wait(_START_SECONDS)
        if self._problem is not None:
            self._thread.join()
            reason = self._problem.strerror or self._problem
            raise StreamError(f"cannot listen on {self.address}: {reason}") from self._problem

    @property
    def is_wanted(self) -> bool:
        """Whether there is a client."""
        return bool(self._clients)

    def send(self, packet: bytes) -> str:
        """Send a message, UTF-8, to all clients; return why it was not sent, or ""."""
        try:
            text = packet.decode()
        except UnicodeDecodeError:
            return f"a packet to {self.address} was not sent (it is no text); sending goes on"
        self._loop.call_soon_threadsafe(self._offer, text)
        return ""

    def close(self) -> None:
        """Close all connections and the port."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self, hosts: Sequence[str], port: int) -> None:
        try:
            async with self._websockets.serve(
                self._handle,
                *(hosts, port),
                logger=_SILENT,
                compression=None,  # costs more than it saves, for each client again
                close_timeout=_CLOSE_SECONDS,
            ) as server:
                self.address = f"{hosts[0]}:{_port(server.sockets, hosts[0])}"
                self._opened.set()
                await self._stopping.wait()
        except OSError as error:
            self._problem = error
        finally:
            self._opened.set()

    async def _handle(self, connection: Any, *_path: str) -> None:
        """Serve one client; websockets before 10.1 passes the path, too."""
        if not _is_local(_origin(connection)):
            await connection.close(_FORBIDDEN, "pages of other hosts are refused")
            return
        queue: asyncio.Queue[str] = asyncio.Queue(maxsize=1)
        self._clients.add(queue)
        sender = asyncio.ensure_future(self._send_all(connection, queue))
        try:
            await connection.wait_closed()
        finally:
            self._clients.discard(queue)
            sender.cancel()

    async def _send_all(self, connection: Any, queue: asyncio.Queue[str]) -> None:
        try:
            while True:
                await connection.send(await queue.get())
        except self._websockets.ConnectionClosed:
            pass

    def _offer(self, text: str) -> None:
        for queue in self._clients:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(text)


def _port(sockets: Iterable[socket.socket], host: str) -> int:
    """Return the port of `host`; each address has its own where the system chooses ports."""
    ports = dict(each.getsockname()[:2] for each in sockets)  # in any order
    address = _ANY_IPV4 if host == ALL_INTERFACES else host
    return int(ports.get(address, next(iter(ports.values()))))


def _origin(connection: Any) -> str:
    """Return where a browser has the page from that connects; "": it is no browser."""
    request = getattr(connection, "request", None)  # since websockets 13
    headers = request.headers if request is not None else connection.request_headers
    origin: str = headers.get("Origin") or ""
    return origin


def _is_local(origin: str) -> bool:
    return not origin or urlsplit(origin).hostname in _LOCAL_HOSTS
