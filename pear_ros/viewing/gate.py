# SPDX-License-Identifier: Apache-2.0
"""The door of the viewer: the only address that it listens on for browsers.

viser serves everybody who reaches it, on every name, and takes the next port where one is in use.
So viser listens on an address of this computer's loopback that nobody else is told, and the gate
passes on to it the WebSockets of browsers that

- have the token, where one is required: from the link, then from a cookie;
- loaded their page from the gate (`Origin`), so that no other page can open it in their browser;
- name this computer (`Host`), where there is no token: DNS rebinding makes another name lead here.

The page allows the browser no address but the gate's (Content-Security-Policy).
"""

from __future__ import annotations

import asyncio
import errno
import hmac
import http
import ipaddress
import logging
import secrets
import threading
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote, unquote, urlsplit

from websockets.asyncio.client import connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

COOKIE = "pear_view_token"
_MAX_MESSAGE = 50 * 1024 * 1024
"""Bytes of the largest message, which is a picture that was asked for."""
_WAITING_MESSAGES = 1
"""Messages that wait for a slow browser; newer poses replace older ones before that, in viser."""
_WRITE_BYTES = 1 << 16
_ANSWER_SECONDS = 90.0
"""Within which a browser, which may be busy drawing, must answer a ping."""
_CLOSE_SECONDS = 2.0
"""Within which the other side of a connection must agree to its end."""
_END_SECONDS = 30.0
_silent = logging.getLogger(f"{__name__}.websockets")
"""Of websockets, which reports connections that a browser opened ahead and did not use."""
_silent.setLevel(logging.CRITICAL)


class ListenError(OSError):
    """The gate cannot listen; the text says why and what to do."""


def is_local(host: str) -> bool:
    """Return whether an address to listen on is reached from this computer only."""
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def new_token() -> str:
    """Return a token that cannot be guessed."""
    return secrets.token_urlsafe(16)


class Gate:
    """Listens for browsers in a thread of its own."""

    def __init__(
        self, host: str, port: int, inner: tuple[str, int], page: bytes, token: str = ""
    ) -> None:
        """Listen on `host` and `port` (0: any) until `close`.

        `inner`: address and port of viser; `page`: of the viewer; `token`: empty where none is
        required. Raises ListenError.
        """
        self._inner, self._page, self._token = inner, page, token
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gate", daemon=True)
        self._thread.start()
        try:
            self._server = self._run(host, port)
        except OSError as error:
            self._stop()
            raise ListenError(_reason(host, port, error)) from error
        self.port: int = next(iter(self._server.sockets)).getsockname()[1]
        """The port."""

    def close(self) -> None:
        """End all connections and free the port."""

        async def end() -> None:
            self._server.close()
            await self._server.wait_closed()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(timeout=_END_SECONDS)
        self._stop()

    def _run(self, host: str, port: int) -> Server:
        async def begin() -> Server:
            return await serve(
                self._pass_on,
                host,
                port,
                process_request=self._answer,
                select_subprotocol=lambda _, offered: next(iter(offered), None),
                compression=None,
                max_size=_MAX_MESSAGE,
                write_limit=_WRITE_BYTES,
                ping_timeout=_ANSWER_SECONDS,
                close_timeout=_CLOSE_SECONDS,
                server_header=None,
                logger=_silent,
            )

        return asyncio.run_coroutine_threadsafe(begin(), self._loop).result(timeout=10.0)

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5.0)
        self._loop.close()

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Return a page or a refusal; None for a WebSocket that may pass."""
        path = urlsplit(request.path)
        host = _last(request.headers, "Host")
        if not self._token and not _names_this_computer(host):
            return _text(
                http.HTTPStatus.FORBIDDEN,
                f"This viewer is for this computer only, and not for {host!r:.100}. "
                "To look from elsewhere, start pear view with --host 0.0.0.0",
            )
        given = parse_qs(path.query).get("token", [""])[0]
        if not self._admitted(given, request.headers):
            return _text(
                http.HTTPStatus.FORBIDDEN,
                "A token is required: open the link that pear view printed, with ?token= in it.",
            )
        if _last(request.headers, "Upgrade").lower() == "websocket":
            origin = urlsplit(_last(request.headers, "Origin"))
            if origin.netloc != host:
                return _text(http.HTTPStatus.FORBIDDEN, "Opened by another page.")
            return None
        if path.path != "/":
            return _text(http.HTTPStatus.NOT_FOUND, "Not found.")
        return self._page_response(host, given)

    def _admitted(self, given: str, headers: Headers) -> bool:
        if not self._token:
            return True
        cookies: SimpleCookie = SimpleCookie()
        with suppress(CookieError):
            cookies.load(_last(headers, "Cookie"))
        cookie = cookies.get(self._cookie)
        known = [given, *([unquote(cookie.value)] if cookie else [])]
        return any(hmac.compare_digest(one.encode(), self._token.encode()) for one in known)

    @property
    def _cookie(self) -> str:
        # Browsers share cookies among the ports of a host.
        return f"{COOKIE}_{self.port}"

    def _page_response(self, host: str, given: str) -> Response:
        sources = f"'self' data: blob: ws://{host} wss://{host}"
        headers = Headers(
            {
                "Content-Type": "text/html; charset=utf-8",
                "Content-Length": str(len(self._page)),
                "Content-Security-Policy": (
                    f"default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; "
                    f"connect-src {sources}; frame-ancestors 'none'; form-action 'none'; "
                    "base-uri 'none'"
                ),
                "Referrer-Policy": "no-referrer",
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "no-store",
            }
        )
        if self._token and given:
            headers["Set-Cookie"] = (
                f"{self._cookie}={quote(given, safe='')}; HttpOnly; SameSite=Strict; Path=/; "
                "Max-Age=604800"
            )
        return Response(200, "OK", headers, self._page)

    async def _pass_on(self, browser: ServerConnection) -> None:
        """Pass messages on both ways until one side ends."""
        host, port = self._inner
        offered = [Subprotocol(browser.subprotocol)] if browser.subprotocol else None
        try:
            async with connect(
                f"ws://{host}:{port}",
                subprotocols=offered,
                compression=None,
                max_size=_MAX_MESSAGE,
                max_queue=_WAITING_MESSAGES,
                close_timeout=_CLOSE_SECONDS,
                proxy=None,
            ) as viewer:
                ways = [
                    asyncio.create_task(_pump(viewer, browser)),
                    asyncio.create_task(_pump(browser, viewer)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
        except OSError:  # The viewer is being closed.
            return


async def _pump(source: object, target: object) -> None:
    with suppress(ConnectionClosed):
        async for message in source:  # type: ignore[attr-defined]
            await target.send(message)  # type: ignore[attr-defined]


def _names_this_computer(host: str) -> bool:
    name = urlsplit(f"//{host}").hostname or ""
    return is_local(name)


def _last(headers: Headers, name: str) -> str:
    """Return a header, the last where it is repeated; empty without it."""
    values = headers.get_all(name)
    return values[-1] if values else ""


def _text(status: http.HTTPStatus, text: str) -> Response:
    body = (text + "\n").encode()
    headers = Headers(
        {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body))}
    )
    return Response(status.value, status.phrase, headers, body)


def _reason(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} is in use, perhaps by another pear view: choose another one with "
            f"--port {port + 1}, or 0 for any that is free"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"port {port} needs the rights of an administrator: choose one above 1023 with --port"
        )
    return f"cannot listen on {host}: {error.strerror or error}"
