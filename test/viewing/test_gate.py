# SPDX-License-Identifier: Apache-2.0
"""Who may look: addresses, tokens, other pages."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

pytest.importorskip("viser", reason="needs the extra view")

import viser
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from pear_ros.viewing.gate import ListenError, is_local
from pear_ros.viewing.server import ViewServer


class Nothing:
    def close(self) -> None:
        pass


@contextmanager
def served(**options: object) -> Iterator[ViewServer]:
    server = ViewServer(lambda viewer: Nothing(), port=0, **options)  # type: ignore[arg-type]
    try:
        yield server
    finally:
        server.close()


def get(url: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), dict(error.headers)


def upgrade(server: ViewServer, path: str = "/", **headers: str) -> int:
    """Return the status of a WebSocket's handshake; 101: accepted."""
    origin = headers.pop("origin", f"http://127.0.0.1:{server.port}")
    try:
        with connect(
            f"ws://127.0.0.1:{server.port}{path}",
            subprotocols=[f"viser-v{viser.__version__}"],  # type: ignore[list-item]
            origin=origin,  # type: ignore[arg-type]
            additional_headers=headers,
        ):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


def test_page_is_served_to_this_computer_without_a_token() -> None:
    with served() as server:
        assert server.url == f"http://127.0.0.1:{server.port}"
        status, text, headers = get(server.url)
        assert status == 200
        assert "<title>pear view</title>" in text
        assert "connect-src 'self'" in headers["Content-Security-Policy"]
        assert upgrade(server) == 101
        assert get(f"{server.url}/../../etc/passwd")[0] == 404


def test_other_pages_and_names_are_refused() -> None:
    with served() as server:
        assert upgrade(server, origin="http://evil.example") == 403
        assert upgrade(server, origin="null") == 403
        status, text, _ = get(server.url, Host="evil.example")
        assert (status, "--host" in text) == (403, True)
        assert get(server.url, Host=f"localhost:{server.port}")[0] == 200


def test_network_address_needs_a_token() -> None:
    with served(host="0.0.0.0") as server:
        assert len(server.token) >= 20
        assert server.token in server.url
        here = f"http://127.0.0.1:{server.port}"
        status, text, _ = get(here)
        assert (status, "token" in text) == (403, True)
        assert get(f"{here}/?token=wrong")[0] == 403
        assert upgrade(server) == 403
        status, _, headers = get(f"{here}/?token={server.token}")
        assert status == 200
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert upgrade(server, Cookie=cookie.split(";")[0]) == 101
        assert upgrade(server, Cookie=cookie.split("=")[0] + "=wrong") == 403


@pytest.mark.parametrize("token", ("secret", "a+b&c=d;#%20 \u00e9"))
def test_given_token_is_required_even_here(token: str) -> None:
    with served(token=token) as server:
        assert get(f"http://127.0.0.1:{server.port}")[0] == 403
        status, _, headers = get(server.url)
        assert status == 200
        assert upgrade(server) == 403
        assert upgrade(server, Cookie=headers["Set-Cookie"].split(";")[0]) == 101


def test_query_sets_no_header() -> None:
    with served() as server:
        headers = get(f"{server.url}/?token=a%0d%0aX-Injected:%201")[2]
        assert "X-Injected" not in headers
        assert "Set-Cookie" not in headers


def test_port_in_use_is_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        before = threading.active_count()
        with pytest.raises(ListenError, match=f"port {port} is in use.*--port"):
            ViewServer(lambda viewer: Nothing(), port=port)
        assert threading.active_count() <= before


def test_closed_server_frees_its_port() -> None:
    with served() as server:
        port = server.port
    socket.create_server(("127.0.0.1", port)).close()


@pytest.mark.parametrize(
    ("host", "local"),
    (("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("robot", False)),
)
def test_addresses_of_this_computer_are_known(host: str, local: bool) -> None:
    assert is_local(host) is local


def test_nothing_is_shared_over_the_internet() -> None:
    with served() as server:
        assert server._viser.request_share_url() is None
